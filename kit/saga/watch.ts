// What others than the engine may know of sagas: which there are about a subject, and which make no progress.
import { type Queryable, statement } from "#kit/postgres/postgres.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import type { SagaDefinition, SagaStatus } from "./definition.ts";

/** Where a saga stands. */
export interface SagaStanding {
  readonly sagaId: string;
  readonly definition: string;
  readonly subjectId: string;
  readonly status: SagaStatus | "parked";
  /** The number of the step it is at, from 0. */
  readonly step: number;
  /** Attempts made of that step. */
  readonly attempt: number;
  /** How long ago that step began, in milliseconds. */
  readonly stepAgeMs: number;
}

const columns = `saga_id as "sagaId", definition, subject_id as "subjectId", status, step, attempt,
       extract(epoch from souk_now() - step_started_at)::float * 1000 as "stepAgeMs"`;

const selectBySubjects = statement(
  "kit-select-saga-standings",
  `select ${columns} from kit.sagas where subject_id = any($1) order by saga_id`,
);

const selectByIds = statement(
  "kit-select-saga-standings-by-id",
  `select ${columns} from kit.sagas where saga_id = any($1) order by saga_id`,
);

/**
 * Both halves have a partial index, so that the cost does not grow with the sagas that have ended. Materialized, or a plan that was
 * made while there were few sagas could walk through all of them in the order of their ids.
 */
const selectSlow = statement(
  "kit-select-slow-sagas",
  `with slow as materialized (
     select saga_id from kit.sagas
      where status in ('running', 'compensating') and step_started_at <= souk_now() - $2 * interval '1 millisecond'
     union all
     select saga_id from kit.sagas where status = 'parked')
   select saga_id as "sagaId" from slow where saga_id > $1 order by saga_id limit $3`,
);

const selectOldestSteps = statement(
  "kit-select-oldest-saga-steps",
  `select definition, extract(epoch from souk_now() - min(step_started_at))::float as "ageSeconds"
     from kit.sagas where status in ('running', 'compensating') group by definition`,
);

/** All sagas about some subjects, oldest first. */
export const sagasAbout = (source: Queryable, subjectIds: readonly string[]): Promise<SagaStanding[]> =>
  source.query<SagaStanding>(selectBySubjects, [subjectIds]);

/** Some sagas, where there are such. */
export const sagasById = (source: Queryable, sagaIds: readonly string[]): Promise<SagaStanding[]> =>
  source.query<SagaStanding>(selectByIds, [sagaIds]);

/** Ids behind `after`, in order, of sagas that are parked, or have been at one step for at least `stepAgeMs`. */
export async function slowSagaIds(
  source: Queryable,
  { after, stepAgeMs, limit }: { readonly after: string; readonly stepAgeMs: number; readonly limit: number },
): Promise<string[]> {
  const rows = await source.query<{ sagaId: string }>(selectSlow, [after, stepAgeMs, limit]);
  return rows.map(({ sagaId }) => sagaId);
}

/** Whether a saga has come to its end. */
export const sagaHasEnded = ({ status }: Pick<SagaStanding, "status">) =>
  status === "completed" || status === "compensated";

/** Measures since when the slowest saga of each definition has made no step. */
export async function measureOldestSteps(
  source: Queryable,
  definitions: readonly Pick<SagaDefinition, "name">[],
  metrics: Metrics,
): Promise<void> {
  const rows = await source.query<{ definition: string; ageSeconds: number }>(selectOldestSteps);
  const ages = new Map(rows.map((row) => [row.definition, row.ageSeconds]));
  for (const { name } of definitions) metrics.sagasOldestStepAgeSeconds(name).set(ages.get(name) ?? 0);
}
