import { statement } from "#kit/postgres/postgres.ts";

/**
 * $1 consumer, $2 milliseconds between rounds. Begins a round and returns how far the last one came; no row where another replica
 * has begun one within that time.
 */
export const beginSweep = statement(
  "kit-begin-sweep",
  `insert into kit.consumer_sweeps (consumer) values ($1)
   on conflict (consumer) do update set began_at = now(), rounds = consumer_sweeps.rounds + 1
     where consumer_sweeps.began_at <= now() - $2 * interval '1 millisecond'
   returning swept_sequence as swept, target_sequence as target, rounds, server`,
);

/** $1 consumer, $2 sequence that has been looked at, $3 the next to wait for or null, $4 rounds it has waited, $5 server. */
export const noteSweep = statement(
  "kit-note-sweep",
  `update kit.consumer_sweeps set swept_sequence = $2, target_sequence = $3, rounds = $4, server = $5 where consumer = $1`,
);

/** $1 consumer, $2 event ids. Those that have neither had their effect nor wait for an earlier one. */
export const selectUnsettled = statement(
  "kit-select-unsettled",
  `select event_id from unnest($2::uuid[]) as event_id
    where not exists (select from kit.inbox i where i.consumer = $1 and i.event_id = event_id.event_id)
      and not exists (select from kit.parked_events p where p.consumer = $1 and p.event_id = event_id.event_id)`,
);
