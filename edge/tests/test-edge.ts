import { createRegistry } from "@bufbuild/protobuf";
import { createEdge, type Edge, type EdgeOptions } from "#edge/edge.ts";
import { KindsService } from "#gen/edge/testing/v1/kinds_pb.ts";
import { LegacyService, note } from "#gen/edge/testing/v1/legacy_pb.ts";
import { AuthorSchema, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { StreamsService } from "#gen/edge/testing/v1/streams_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { addEcho, addStreams, type OpenStreams } from "./stream-backend.ts";

/** An edge before a backend, for one test file. */
export interface TestEdge {
  readonly edge: Edge;
  readonly port: number;
  readonly backend: Backend;
  readonly streams: OpenStreams;
  stop(): Promise<void>;
}

/** Starts the test contracts behind an edge on free ports. */
export async function startTestEdge(options: Partial<EdgeOptions> = {}): Promise<TestEdge> {
  let streams: OpenStreams = new Set();
  const backend = await startBackend({
    extend(server) {
      streams = addStreams(server);
      addEcho(server, KindsService);
      addEcho(server, LegacyService);
    },
  });
  const edge = createEdge({
    registry: createRegistry(LibraryService, KindsService, LegacyService, StreamsService, AuthorSchema, note),
    backendFor: () => ({ address: `http://127.0.0.1:${backend.port}` }),
    policyFor: (method) => (method.name === "HiddenCall" ? { exposed: false } : {}),
    ...options,
  });
  const { port } = await edge.listen({ host: "127.0.0.1", port: 0 });
  return {
    edge,
    port,
    backend,
    streams,
    async stop() {
      await edge.close();
      backend.kill();
    },
  };
}

/** Waits until a condition holds; fails after `withinMs`. */
export async function eventually(holds: () => boolean, withinMs = 5_000): Promise<void> {
  const lateAt = Date.now() + withinMs;
  while (!holds()) {
    if (Date.now() > lateAt) throw new Error("the condition did not come to hold in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
