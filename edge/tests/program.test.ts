import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { clone, create, fromBinary, setExtension, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { http } from "#gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { makeCertificate } from "./certificate.ts";
import { type EdgeProcess, runProgram, startProgram } from "./program-process.ts";
import { sendRaw } from "./raw-http.ts";
import { addReflection } from "./reflection-server.ts";
import { eventually } from "./test-edge.ts";

const folder = mkdtempSync(join(tmpdir(), "edge-program-"));
const descriptors = join(folder, "library.binpb");
const root = fileURLToPath(new URL("../..", import.meta.url));
let backend: Backend;

beforeAll(async () => {
  execFileSync("buf", ["build", ".", "--path", "edge/tests/proto/edge", "-o", descriptors], { cwd: root });
  backend = await startBackend();
});

afterAll(() => {
  backend.kill();
  rmSync(folder, { recursive: true });
});

const anyPort = ["--listen", "127.0.0.1:0"];
const backendAt = (port: number) => ["--backend", `127.0.0.1:${port}`];

async function answersInAllProtocols({ port }: EdgeProcess): Promise<void> {
  expect((await sendRaw(port, { target: "/v1/books/rest" })).json()).toMatchObject({ id: "rest" });
  const baseUrl = `http://127.0.0.1:${port}`;
  const transports = [
    createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
    createGrpcTransport({ baseUrl }),
  ];
  for (const transport of transports)
    expect(await createClient(LibraryService, transport).getBook({ id: "rpc" })).toMatchObject({ id: "rpc" });
}

describe("the program", { timeout: 90_000 }, () => {
  test("serves four protocols from descriptors that buf wrote, with limits, metrics and an access log, until SIGTERM", async () => {
    const edge = await startProgram([
      ...anyPort,
      ...backendAt(backend.port),
      ...[
        "--descriptors",
        descriptors,
        "--max-request-bytes",
        "100",
        "--operations",
        "127.0.0.1:0",
        "--access-log",
      ],
    ]);
    await answersInAllProtocols(edge);
    const body = JSON.stringify({ displayTitle: "x".repeat(100) });
    const headers = { "content-type": "application/json" };
    const tooLarge = await sendRaw(edge.port, {
      method: "POST",
      target: "/v1/books?secret=1",
      headers,
      body,
    });
    expect(tooLarge.status).toBe(413);
    const operations = async (path: string) =>
      (await fetch(`http://127.0.0.1:${edge.operationsPort}${path}`)).text();
    expect(await operations("/health/ready")).toBe("ready\n");
    expect(await operations("/metrics")).toContain(
      'edge_requests_total{protocol="rest",route="GET /v1/books/{id}",status="200",code="0"} 1',
    );
    const lines = () =>
      edge
        .output()
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line));
    await eventually(() => lines().length === 5);
    expect(lines().at(-1)).toMatchObject({ path: "/v1/books", httpStatus: 413, reason: "REQUEST_TOO_LARGE" });
    expect(edge.output()).not.toContain("secret");
    expect(await edge.stop()).toBe(0);
  });

  test("asks a backend for its descriptors, by either version of reflection, and does not pass reflection on", async () => {
    for (const version of ["v1", "v1alpha"] as const) {
      const reflecting = await startBackend({
        extend: (server) => addReflection(server, version, [LibraryService]),
      });
      const edge = await startProgram([...anyPort, ...backendAt(reflecting.port)]);
      await answersInAllProtocols(edge);
      const target = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const headers = { "content-type": "application/grpc-web+proto" };
      const refused = await sendRaw(edge.port, { method: "POST", target, headers, body: Buffer.alloc(5) });
      expect([refused.status, refused.headers["grpc-status"]]).not.toEqual([200, "0"]);
      await edge.stop();
      reflecting.kill();
    }
  });

  test("sends each package to its own backend, over TLS where told, and takes the longest prefix", async () => {
    const authority = makeCertificate("authority");
    const { cert, key } = makeCertificate("backend", authority);
    writeFileSync(join(folder, "ca.pem"), authority.cert);
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    const secure = await startBackend({ credentials: grpc.ServerCredentials.createSsl(null, [pair]) });
    const edge = await startProgram([
      ...anyPort,
      ...["--descriptors", descriptors, "--backend", "edge=127.0.0.1:1", "--service", "edge.testing"],
      ...[
        "--backend",
        `edge.testing.v1=https://127.0.0.1:${secure.port}`,
        "--backend-ca",
        join(folder, "ca.pem"),
      ],
    ]);
    await answersInAllProtocols(edge);
    await edge.stop();
    secure.kill();
  });

  test("serves HTTP/1.1 and HTTP/2 over TLS by ALPN, and a new certificate without a restart", async () => {
    const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const put = ({ cert, key }: { cert: string; key: string }) => {
      for (const [file, pem] of [
        [files.key, key],
        [files.cert, cert],
      ] as const) {
        writeFileSync(`${file}.new`, pem);
        renameSync(`${file}.new`, file);
      }
    };
    const first = makeCertificate("first");
    put(first);
    const edge = await startProgram([
      ...anyPort,
      ...backendAt(backend.port),
      ...["--descriptors", descriptors, "--tls-cert", files.cert, "--tls-key", files.key],
    ]);
    const connect = (ca: string, ...ALPNProtocols: string[]) =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ port: edge.port, host: "127.0.0.1", ca, ALPNProtocols }, () => {
          resolve(String(socket.alpnProtocol));
          socket.destroy();
        });
        socket.on("error", reject);
      });
    expect(await connect(first.cert, "h2", "http/1.1")).toBe("h2");
    expect(await connect(first.cert, "http/1.1")).toBe("http/1.1");
    for (const httpVersion of ["1.1", "2"] as const) {
      const nodeOptions = { ca: first.cert };
      const baseUrl = `https://127.0.0.1:${edge.port}`;
      const client = createClient(
        LibraryService,
        createConnectTransport({ baseUrl, httpVersion, nodeOptions }),
      );
      expect(await client.getBook({ id: "tls" })).toMatchObject({ id: "tls" });
    }
    await expect(sendRaw(edge.port, { target: "/v1/books/plain" })).rejects.toThrow();

    const second = makeCertificate("second");
    put(second);
    let reloaded = false;
    for (let attempt = 0; attempt < 100 && !reloaded; attempt++) {
      reloaded = await connect(second.cert, "h2").then(
        () => true,
        () => false,
      );
      if (!reloaded) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(reloaded).toBe(true);
    expect(await edge.stop()).toBe(0);
  });

  test("takes only callers with a certificate where it is told whose", async () => {
    const authority = makeCertificate("callers");
    const { cert, key } = makeCertificate("server");
    for (const [name, pem] of Object.entries({ cert, key, callers: authority.cert }))
      writeFileSync(join(folder, `mtls-${name}.pem`), pem);
    const edge = await startProgram([
      ...anyPort,
      ...backendAt(backend.port),
      ...["--descriptors", descriptors, "--tls-cert", join(folder, "mtls-cert.pem")],
      ...["--tls-key", join(folder, "mtls-key.pem"), "--tls-client-ca", join(folder, "mtls-callers.pem")],
    ]);
    const get = (more: object) => {
      const nodeOptions = { ca: cert, ...more };
      const transport = createConnectTransport({
        baseUrl: `https://127.0.0.1:${edge.port}`,
        httpVersion: "1.1",
        nodeOptions,
      });
      return createClient(LibraryService, transport).getBook({ id: "known" });
    };
    const known = makeCertificate("known", authority);
    expect(await get({ cert: known.cert, key: known.key })).toMatchObject({ id: "known" });
    const stranger = makeCertificate("stranger");
    await expect(get({ cert: stranger.cert, key: stranger.key })).rejects.toThrow();
    await expect(get({})).rejects.toThrow();
    await edge.stop();
  });
});

/** The library's descriptors with one rule replaced. */
function withRule(rpc: string, get: string): string {
  const set: FileDescriptorSet = fromBinary(FileDescriptorSetSchema, readFileSync(descriptors));
  const changed = clone(FileDescriptorSetSchema, set);
  const method = changed.file
    .flatMap(({ service }) => service)
    .flatMap(({ method }) => method)
    .find(({ name }) => name === rpc);
  if (method === undefined) throw new Error(`no ${rpc}`);
  method.options = create(MethodOptionsSchema);
  setExtension(method.options, http, create(HttpRuleSchema, { pattern: { case: "get", value: get } }));
  const path = join(folder, `${rpc}.binpb`);
  writeFileSync(path, toBinary(FileDescriptorSetSchema, changed));
  return path;
}

describe("the program refuses to start", { timeout: 90_000 }, () => {
  test("on a bad rule, with file, RPC and reason", async () => {
    const path = withRule("GetBook", "/v1/{nowhere}");
    const { code, output } = await runProgram([...anyPort, ...backendAt(1), "--descriptors", path]);
    expect(code).toBe(1);
    expect(output).toContain(
      "edge/testing/v1/library.proto: edge.testing.v1.LibraryService.GetBook: variable 'nowhere': edge.testing.v1.GetBookRequest has no such field",
    );
  });

  test("on flags it cannot follow, and on descriptors that do not fit them", async () => {
    const [flags, prefix, file] = await Promise.all([
      runProgram([...backendAt(1), "--speed", "9"]),
      runProgram(["--descriptors", descriptors, "--backend", "shop=127.0.0.1:1"]),
      runProgram(["--descriptors", fileURLToPath(import.meta.url), ...backendAt(1)]),
    ]);
    expect(flags).toMatchObject({ code: 2, output: expect.stringContaining("Unknown option '--speed'") });
    expect(prefix).toMatchObject({ code: 2, output: expect.stringContaining("shop=…: no service") });
    expect(file).toMatchObject({
      code: 1,
      output: expect.stringContaining("not a binary FileDescriptorSet"),
    });
  });

  test("when descriptors lack an import, or its backend has no reflection", async () => {
    const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptors));
    set.file = set.file.filter(({ name }) => name !== "google/rpc/status.proto");
    const path = join(folder, "cut.binpb");
    writeFileSync(path, toBinary(FileDescriptorSetSchema, set));
    const cut = await runProgram(["--descriptors", path, ...backendAt(1)]);
    expect(cut.output).toContain("imports google/rpc/status.proto, which is not among the descriptors");
    const mute = await runProgram(backendAt(backend.port));
    expect(mute).toMatchObject({
      code: 1,
      output: expect.stringContaining("the server has none; give its descriptors"),
    });
  });
});
