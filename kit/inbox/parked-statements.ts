import { statement } from "#kit/postgres/postgres.ts";

/** $1 consumer, then one array each. */
export const insertParked = statement(
  "kit-insert-parked",
  `insert into kit.parked_events (consumer, event_id, aggregate_id, aggregate_version, previous_version, stream, subject,
     headers, payload, parked_at, next_attempt_at)
   select $1, *, souk_now(), souk_now()
     from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::jsonb[], $9::bytea[])
   on conflict do nothing`,
);

const columns = `p.event_id as "eventId", p.aggregate_id as "aggregateId", p.aggregate_version as "aggregateVersion",
       p.previous_version as "previousVersion", p.stream, p.subject, p.headers, p.payload, p.attempts,
       p.parked_at as "parkedAt", p.consumer`;

/**
 * $1 consumer, $2 milliseconds, $3 rows. What waits no more: the earlier version was applied; or the consumer has never heard of the
 * aggregate, and what came before it has not come for so long that it lies before the consumer's time. Only the first that is
 * parked may begin so, and none while an earlier one waits for a person: else those would be passed over.
 */
export const selectReleasable = statement(
  "kit-select-releasable",
  `select ${columns}
     from kit.parked_events p left join kit.positions s on s.consumer = p.consumer and s.aggregate_id = p.aggregate_id
    where p.consumer = $1 and p.next_attempt_at <= souk_now()
      and (p.previous_version <= s.version
           or s.version is null and p.parked_at < souk_now() - $2 * interval '1 millisecond'
              and not exists (select from kit.parked_events e
                               where e.consumer = p.consumer and e.aggregate_id = p.aggregate_id
                                 and e.aggregate_version < p.aggregate_version)
              and not exists (select from kit.dead_letters d
                               where d.status = 'waiting' and d.consumer = p.consumer
                                 and d.aggregate_id = p.aggregate_id and d.aggregate_version < p.aggregate_version))
    order by p.aggregate_id, p.aggregate_version
    limit $3`,
);

/** $1 consumer, $2 event id. Two replicas release side by side: who comes second finds nothing. */
export const lockParked = statement(
  "kit-lock-parked",
  `select ${columns} from kit.parked_events p where p.consumer = $1 and p.event_id = $2 for update skip locked`,
);

export const deleteParked = statement(
  "kit-delete-parked",
  `delete from kit.parked_events where consumer = $1 and event_id = $2`,
);

/** $1 consumer, $2 event id, $3 milliseconds until the next attempt. */
export const postponeParked = statement(
  "kit-postpone-parked",
  `update kit.parked_events set attempts = attempts + 1, next_attempt_at = souk_now() + $3 * interval '1 millisecond'
    where consumer = $1 and event_id = $2`,
);

/** $1, $2 where the page before ended, or null, $3 rows. */
export const selectParkedPage = statement(
  "kit-select-parked-page",
  `select ${columns} from kit.parked_events p
    where $1::uuid is null or (p.event_id, p.consumer) > ($1, $2)
    order by p.event_id, p.consumer limit $3`,
);

/** $1 consumer, $2 aggregate id. */
export const selectParkedOf = statement(
  "kit-select-parked-of",
  `select ${columns} from kit.parked_events p where p.consumer = $1 and p.aggregate_id = $2 order by p.aggregate_version`,
);

export const countParked = statement(
  "kit-count-parked",
  `select count(*)::int as parked from kit.parked_events where consumer = $1`,
);
