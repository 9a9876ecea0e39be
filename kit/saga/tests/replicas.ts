import { afterEach, beforeEach, expect } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { openEngine, rowOf } from "./shop.ts";

/** Far longer than any test: what is seen to happen is not the lease running out by itself. */
export const longLeaseMs = 600_000;

/** A database of its own for each test of a file, with engines on it as replicas have them; call it once, at the top. */
export function openReplicas() {
  let parts: Parts;
  let stops: (() => Promise<void>)[];
  let stalls: (() => void)[];
  beforeEach(async () => {
    parts = await openParts();
    stops = [];
    stalls = [];
  });
  afterEach(async () => {
    for (const end of stalls) end();
    for (const stop of stops.toReversed()) await stop();
    await parts.close();
  });
  return {
    parts: () => parts,
    open(...args: Parameters<typeof openEngine>) {
      const engine = openEngine(...args);
      stops.push(engine.stop);
      return engine;
    },
    async openReplica() {
      const replica = await parts.replica();
      stops.push(() => replica.close());
      return replica;
    },
    ended: (subject: string, status = "completed", withinMs?: number) =>
      eventually(async () => expect(await rowOf(parts, subject)).toMatchObject({ status }), withinMs),
    /** A step that says when it has begun, and ends when it is told to. */
    createStall(by: string) {
      const [begun, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      stalls.push(mayEnd.resolve);
      return {
        begun: begun.promise,
        end: mayEnd.resolve,
        async do() {
          begun.resolve();
          await mayEnd.promise;
          return { by };
        },
      };
    },
  };
}
