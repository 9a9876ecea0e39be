import { statement } from "#kit/postgres/postgres.ts";
import { inboxRetentionDays } from "./inbox.ts";

/** Returns those of the events that this consumer has not applied; a concurrent delivery of one waits here. */
export const insertInbox = statement(
  "kit-insert-inbox",
  `insert into kit.inbox (consumer, event_id)
   select $1, event_id from unnest($2::uuid[]) as event_id
   on conflict do nothing
   returning event_id`,
);

export const deleteForgotten = statement(
  "kit-delete-forgotten-inbox",
  `delete from kit.inbox where (consumer, event_id) in (
     select consumer, event_id from kit.inbox where applied_at < now() - interval '${inboxRetentionDays} days' limit 10000)`,
);
