import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import type { SagaDefinition, SagaFailure, SagaStep } from "./definition.ts";

/** Why somebody wants a saga to turn round. */
export type TurnReason = Pick<SagaFailure, "reason" | "message">;

/**
 * $1 subject, $2 definition; for each version that is served $3 the version, $4 the index of its pivot, $5 its steps' names as JSON; $6
 * reason, $7 message. The row is locked first also where it is not changed: what the caller then writes about the subject is
 * ordered with the saga's own end. The raised token and version make the driver's next write fall on no row: the step under way
 * counts as of unknown outcome, and is undone with those before it by whoever takes the saga over.
 */
const turnSagaBack = statement(
  "kit-turn-saga-back",
  `with found as materialized (
     select saga_id, definition_version, status, step from kit.sagas
      where subject_id = $1 and definition = $2 order by created_at desc limit 1 for update),
   served as (select * from unnest($3::int[], $4::int[], $5::jsonb[]) as v (version, pivot, steps))
   update kit.sagas s
      set status = 'compensating', attempt = 0, fencing_token = s.fencing_token + 1, version = s.version + 1,
          failure = jsonb_build_object('step', served.steps ->> s.step, 'reason', $6::text, 'message', $7::text),
          lease_owner = null, lease_expires_at = null,
          step_started_at = souk_now(), next_wakeup_at = souk_now(), updated_at = souk_now()
     from found join served on served.version = found.definition_version
    where s.saga_id = found.saga_id and found.status = 'running' and found.step < served.pivot
   returning s.saga_id`,
);

/**
 * Turns the newest saga about a subject round from outside, if it has not reached the pivot of the version it began with. It is undone
 * from its present step on, as soon as a call that is under way has ended; a step that was sent late is refused by its tombstone.
 * @returns whether it was turned. False leaves it as it is: it is being decided, has ended, or is of a version not served here.
 */
export async function turnBack(
  tx: Transaction,
  definition: SagaDefinition<never>,
  subjectId: string,
  { reason, message }: TurnReason,
): Promise<boolean> {
  const versions = [definition, ...(definition.earlier ?? [])];
  const turned = await tx.query(turnSagaBack, [
    subjectId,
    definition.name,
    versions.map(({ version }) => version),
    versions.map(({ steps }) => pivotOf(steps)),
    versions.map(({ steps }) => JSON.stringify(steps.map(({ name }) => name))),
    reason,
    message,
  ]);
  return turned.length > 0;
}

function pivotOf(steps: readonly SagaStep<never>[]): number {
  const pivot = steps.findIndex((step) => step.pivot);
  return pivot < 0 ? steps.length : pivot;
}
