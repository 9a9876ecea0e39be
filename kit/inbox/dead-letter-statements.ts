import { statement } from "#kit/postgres/postgres.ts";

const columns = `dead_letter_id as "deadLetterId", consumer, event_id as "eventId", event_type as "eventType",
       aggregate_id as "aggregateId", aggregate_version as "aggregateVersion", status, reason, message, deliveries,
       headers, payload, history, created_at as "createdAt", stream, subject`;

/** $1 id. */
export const selectDeadLetter = statement(
  "kit-select-dead-letter",
  `select ${columns} from kit.dead_letters where dead_letter_id = $1`,
);

/** $1 id. */
export const lockDeadLetter = statement(
  "kit-lock-dead-letter",
  `select ${columns} from kit.dead_letters where dead_letter_id = $1 for update`,
);

/** $1 status, $2 the last id of the page before or null, $3 rows. */
export const selectDeadLetterPage = statement(
  "kit-select-dead-letter-page",
  `select ${columns} from kit.dead_letters
    where status = $1 and ($2::text is null or dead_letter_id < $2)
    order by dead_letter_id desc limit $3`,
);

/** $1 consumer or empty, $2 type or empty, $3 the last id or empty, $4 rows; oldest first. */
export const selectWaiting = statement(
  "kit-select-waiting-dead-letters",
  `select ${columns} from kit.dead_letters
    where status = 'waiting' and ($1 = '' or consumer = $1) and ($2 = '' or event_type = $2) and dead_letter_id > $3
    order by dead_letter_id limit $4`,
);

/** $1 consumer or empty, $2 type or empty, $3 the last id or empty. */
export const countWaitingAfter = statement(
  "kit-count-waiting-after",
  `select count(*)::int as waiting from kit.dead_letters
    where status = 'waiting' and ($1 = '' or consumer = $1) and ($2 = '' or event_type = $2) and dead_letter_id > $3`,
);

/** What was done, as it goes into the history. */
const entry = (actor: string, action: string, detail: string) =>
  `jsonb_build_object('at', to_char(souk_now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
     'actor', ${actor}::text, 'action', ${action}::text, 'detail', ${detail}::text)`;

/** No row comes back where the event is here already. */
export const insertDeadLetter = statement(
  "kit-insert-dead-letter",
  `insert into kit.dead_letters (dead_letter_id, consumer, event_id, digest, stream, subject, event_type,
     aggregate_id, aggregate_version, reason, message, deliveries, headers, payload, created_at, history)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, souk_now(),
     jsonb_build_array(${entry("$15", "'set aside'", "$11")}))
   on conflict (consumer, event_id, digest) do nothing
   returning dead_letter_id`,
);

/** $1 id, $2 status, $3 actor, $4 action, $5 detail. */
export const updateDeadLetter = statement(
  "kit-update-dead-letter",
  `update kit.dead_letters set status = $2, history = history || ${entry("$3", "$4", "$5")}
    where dead_letter_id = $1
   returning ${columns}`,
);

/** $1 consumer. */
export const countWaiting = statement(
  "kit-count-waiting-dead-letters",
  `select count(*)::int as waiting from kit.dead_letters where status = 'waiting' and consumer = $1`,
);
