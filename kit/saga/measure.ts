import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import type { SagaDefinition } from "./definition.ts";
import { countSagas } from "./statements.ts";

/** Due for that long and taken up by nobody: a replica that knows the version would have come by a hundred times. */
export const unservedAfterMs = 60_000;

/** What measuring works with. */
export interface MeasureOptions {
  readonly db: Database;
  /** Every version that this replica serves. */
  readonly definitions: readonly SagaDefinition[];
  readonly log: Logger;
  readonly metrics: Metrics;
}

interface Count {
  readonly definition: string;
  readonly what: "in flight" | "parked" | "unserved";
  readonly sagas: number;
}

/** Makes the measurement: how many sagas are under way, wait for an operator, or wait for a replica that knows their version. */
export function createMeasurement({ db, definitions, log, metrics }: MeasureOptions): () => Promise<void> {
  const names = new Set(definitions.map(({ name }) => name));
  let unservedBefore = 0;
  return async () => {
    const rows = await db.query<Count>(countSagas, [
      definitions.map(({ name }) => name),
      definitions.map(({ version }) => version),
      unservedAfterMs,
    ]);
    for (const { definition } of rows) names.add(definition);
    const count = (name: string, wanted: Count["what"]) =>
      rows.find(({ definition, what }) => definition === name && what === wanted)?.sagas ?? 0;
    for (const name of names) {
      metrics.sagasInFlight(name).set(count(name, "in flight"));
      metrics.sagasParked(name).set(count(name, "parked"));
      metrics.sagasUnserved(name).set(count(name, "unserved"));
    }
    const unserved = [...names].reduce((sum, name) => sum + count(name, "unserved"), 0);
    if (unserved > unservedBefore)
      log.warn({ sagas: unserved }, "sagas wait for a replica that knows their version");
    unservedBefore = unserved;
  };
}
