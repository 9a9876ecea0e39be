import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import type { SagaDefinition, SagaFailure } from "./definition.ts";

/** Why somebody wants a saga to turn round. */
export type TurnReason = Pick<SagaFailure, "reason" | "message">;

/**
 * $1 subject, $2 definition, $3 its version, $4 index of the pivot, $5 names of the steps, $6 reason, $7 message. The row is
 * locked first also where it is not changed: what the caller then writes about the subject is ordered with the saga's own end.
 * The raised token and version make the driver's next write fall on no row: the step under way counts as of unknown
 * outcome, and is undone with those before it by whoever takes the saga over.
 */
const turnSagaBack = statement(
  "kit-turn-saga-back",
  `with found as materialized (
     select saga_id, definition_version, status, step from kit.sagas
      where subject_id = $1 and definition = $2 order by created_at desc limit 1 for update)
   update kit.sagas s
      set status = 'compensating', attempt = 0, fencing_token = s.fencing_token + 1, version = s.version + 1,
          failure = jsonb_build_object('step', ($5::text[])[s.step + 1], 'reason', $6::text, 'message', $7::text),
          lease_owner = null, lease_expires_at = null,
          step_started_at = souk_now(), next_wakeup_at = souk_now(), updated_at = souk_now()
     from found
    where s.saga_id = found.saga_id and found.status = 'running'
      and found.definition_version = $3::int and found.step < $4::int
   returning s.saga_id`,
);

/**
 * Turns the newest saga about a subject round from outside, if it has not reached its pivot. It is undone from its present
 * step on, as soon as a call that is under way has ended; a step that was sent late is refused by its tombstone.
 * @returns whether it was turned. False leaves it as it is: it is being decided, has ended, or is another version's.
 */
export async function turnBack(
  tx: Transaction,
  { name, version, steps }: SagaDefinition<never>,
  subjectId: string,
  { reason, message }: TurnReason,
): Promise<boolean> {
  const pivot = steps.findIndex((step) => step.pivot);
  const turned = await tx.query(turnSagaBack, [
    subjectId,
    name,
    version,
    pivot < 0 ? steps.length : pivot,
    steps.map((step) => step.name),
    reason,
    message,
  ]);
  return turned.length > 0;
}
