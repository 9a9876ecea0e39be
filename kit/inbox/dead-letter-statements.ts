import { statement } from "#kit/postgres/postgres.ts";

const columns = `dead_letter_id as "deadLetterId", consumer, event_id as "eventId", event_type as "eventType",
       aggregate_id as "aggregateId", aggregate_version as "aggregateVersion", status, reason, message, deliveries,
       headers, payload, history, created_at as "createdAt"`;

/** $1 id. */
export const selectDeadLetter = statement(
  "kit-select-dead-letter",
  `select ${columns} from kit.dead_letters where dead_letter_id = $1`,
);

/** $1 status, $2 the last id of the page before or null, $3 rows. */
export const selectDeadLetterPage = statement(
  "kit-select-dead-letter-page",
  `select ${columns} from kit.dead_letters
    where status = $1 and ($2::text is null or dead_letter_id < $2)
    order by dead_letter_id desc limit $3`,
);
