import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { file_edge_testing_v1_library, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { attackByConnections } from "./hostile/connections.ts";
import { attackByFloods, attackByFrames } from "./hostile/frames.ts";
import { attackByGrpc } from "./hostile/grpc.ts";
import { attackByHeads, attackByTls } from "./hostile/heads.ts";
import { attackByJson } from "./hostile/json.ts";
import { attackByPages } from "./hostile/pages.ts";
import type { Target } from "./hostile/target.ts";
import { type EdgeProcess, startProgram } from "./program-process.ts";
import { sendRaw } from "./raw-http.ts";

// The program as a process: what is shown is that one process, never restarted, answers all of this and stays small.

const folder = mkdtempSync(join(tmpdir(), "edge-hostile-"));
const descriptors = join(folder, "library.binpb");
const limits = [
  ...[
    "--headers-timeout-ms",
    "700",
    "--request-timeout-ms",
    "900",
    "--write-timeout-ms",
    "900",
    "--idle-timeout-ms",
    "900",
  ],
  ...[
    "--max-request-bytes",
    "100000",
    "--operations",
    "127.0.0.1:0",
    "--access-log",
    "--cors-origin",
    "https://shop.test",
  ],
];
let backend: Backend;
let edge: EdgeProcess;
let port: number;

// Rows are declared before there is a process.
const target: Target = {
  descriptors,
  folder,
  get port() {
    return port;
  },
  get edge() {
    return edge;
  },
  get backend() {
    return backend;
  },
};

beforeAll(async () => {
  const files = [...new Set(filesOf(file_edge_testing_v1_library))].map(({ proto }) => proto);
  writeFileSync(
    descriptors,
    toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })),
  );
  backend = await startBackend();
  edge = await startProgram([
    "--listen",
    "127.0.0.1:0",
    "--backend",
    `127.0.0.1:${backend.port}`,
    "--descriptors",
    descriptors,
    ...limits,
  ]);
  port = edge.port;
});

afterAll(async () => {
  expect(await edge.stop()).toBe(0);
  backend.kill();
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  expect(edge.child.exitCode).toBeNull();
  expect((await sendRaw(port, { target: "/v1/books/still-there" })).status).toBe(200);
});

function filesOf(file: typeof file_edge_testing_v1_library): (typeof file_edge_testing_v1_library)[] {
  return [...file.dependencies.flatMap(filesOf), file];
}

attackByConnections(target);
attackByFloods(target);
attackByFrames(target);
attackByHeads(target);
attackByTls(target);
attackByGrpc(target);
attackByJson(target);
attackByPages(target);

test("after all of that it is the same process, and no larger than it may be", async () => {
  const metrics = await (await fetch(`http://127.0.0.1:${edge.operationsPort}/metrics`)).text();
  const bytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
  expect(bytes).toBeLessThan(400 * 1024 * 1024);
  expect(metrics).not.toMatch(/status="50[0-9]",code="(?:13|2)"/);
  expect(LibraryService.methods.length).toBeGreaterThan(0);
});
