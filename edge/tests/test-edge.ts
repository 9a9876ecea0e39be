import { createRegistry } from "@bufbuild/protobuf";
import { createEdge, type Edge, type EdgeOptions } from "#edge/edge.ts";
import { AuthorSchema, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { type Backend, startBackend } from "./backend.ts";

/** An edge before a backend, for one test file. */
export interface TestEdge {
  readonly edge: Edge;
  readonly port: number;
  readonly backend: Backend;
  stop(): Promise<void>;
}

/** Starts the test contract behind an edge on free ports. */
export async function startTestEdge(options: Partial<EdgeOptions> = {}): Promise<TestEdge> {
  const backend = await startBackend();
  const edge = createEdge({
    registry: createRegistry(LibraryService, AuthorSchema),
    backendFor: () => ({ address: `http://127.0.0.1:${backend.port}` }),
    policyFor: (method) => (method.name === "HiddenCall" ? { exposed: false } : {}),
    ...options,
  });
  const { port } = await edge.listen({ host: "127.0.0.1", port: 0 });
  return {
    edge,
    port,
    backend,
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
