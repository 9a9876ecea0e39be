import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import type { SagaOperations, SagaResolution } from "#kit/saga/operations.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { becomes, type Input, openEngine } from "./shop.ts";

/** A database with engines on it for the tests of a file, and an operator; call it once, at the top. */
export function openOffice() {
  let parts: Parts;
  let opened: ReturnType<typeof openEngine>[] = [];
  let lines: string[] = [];
  beforeAll(async () => {
    parts = await openParts();
  });
  beforeEach(() => {
    opened = [];
    lines = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((engine) => engine.stop()));
  });
  afterAll(() => parts.close());
  const open = (definition: SagaDefinition<Input>) => {
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLogger({ service: "test", level: "warn", destination });
    const engine = openEngine({ ...parts, log }, [definition]);
    opened.push(engine);
    return engine;
  };
  return {
    parts: () => parts,
    /** What was logged at warn and above in this test. */
    lines: () => lines,
    open,
    becomes: (subject: string, status: string) => becomes(parts, subject, status),
    /** Drives a saga about this subject until it is parked; returns its id and what an operator can do. */
    async parked(definition: SagaDefinition<Input>, subject: string) {
      const engine = open(definition);
      const [sagaId = ""] = await engine.start(definition, subject);
      await becomes(parts, subject, "parked");
      return { sagaId, ...engine.engine.operations };
    },
    retry: (operations: Pick<SagaOperations, "retry">, sagaId: string) =>
      parts.db.transaction((tx) => operations.retry(tx, sagaId)),
    resolve: (operations: Pick<SagaOperations, "resolve">, sagaId: string, resolution: SagaResolution) =>
      parts.db.transaction((tx) => operations.resolve(tx, sagaId, { resolution, step: "" })),
  };
}
