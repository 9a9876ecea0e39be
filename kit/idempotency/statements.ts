import { statement } from "#kit/postgres/postgres.ts";

/** The primary key whose violation means "this command has its answer". */
export const answerConstraint = "idempotency_pkey";

/** A plain insert: where another transaction holds the same key it waits for that one's end, then conflicts. */
export const insertAnswers = statement(
  "kit-insert-answers",
  `insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
   select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bytea[])`,
);

export const selectAnswer = statement(
  "kit-select-answer",
  `select outcome, fingerprint, response from kit.idempotency where principal = $1 and method = $2 and key = $3`,
);

/** The no-op update makes the row come back on conflict, and locks it against a command that is just being answered. */
export const layTombstone = statement(
  "kit-lay-tombstone",
  `insert into kit.idempotency as answer (principal, method, key, outcome) values ($1, $2, $3, 'cancelled')
   on conflict (principal, method, key) do update set outcome = answer.outcome
   returning outcome`,
);

export const limitLockWait = statement("kit-limit-lock-wait", `select set_config('lock_timeout', $1, true)`);
