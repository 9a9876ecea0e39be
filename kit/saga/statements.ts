import { statement } from "#kit/postgres/postgres.ts";

// Budgets count the time in which somebody tried: not how long a saga lay there, and not by how much the clock was set forward.
const columns = `saga_id, definition, definition_version, subject_id, correlation_id, status, step, input, results, failure,
       parking, attempt, fencing_token, version,
       extract(epoch from updated_at - step_started_at)::float * 1000 as step_age_ms,
       extract(epoch from souk_now() - created_at)::float * 1000 as age_ms`;

/** Leased from birth: the starting replica goes on without reading the row back. */
export const insertSagas = statement(
  "kit-insert-sagas",
  `with clock as materialized (select souk_now() as now)
   insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
                          step_started_at, next_wakeup_at, lease_owner, lease_expires_at, created_at, updated_at)
   select s.saga_id, s.definition, s.definition_version, s.subject_id, s.correlation_id, 'running', s.input,
          t.now, t.now, $7, t.now + $8 * interval '1 millisecond', t.now, t.now
     from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::jsonb[])
            as s (saga_id, definition, definition_version, subject_id, correlation_id, input),
          clock t`,
);

/**
 * Takes over sagas that are due and that nobody holds. Skipping locked rows lets replicas claim side by side; the raised
 * fencing token makes whatever the former holder still writes fall on no row. Rows of this replica that it is not driving
 * are claimed as well: they are those whose COMMIT it never heard of, and those it had no room for. What it is driving
 * it never claims, even where its lease has run out: it would only fence itself off.
 */
export const claimSagas = statement(
  "kit-claim-sagas",
  `with clock as materialized (select souk_now() as now)
   update kit.sagas s
      set lease_owner = $1, lease_expires_at = souk_now() + $2 * interval '1 millisecond', fencing_token = fencing_token + 1
    where saga_id in (
            select saga_id from kit.sagas, clock
             where status in ('running', 'compensating') and next_wakeup_at <= clock.now
               and saga_id <> all($6::text[])
               and (lease_expires_at is null or lease_expires_at <= clock.now
                    or lease_owner = $1 and updated_at < clock.now - interval '1 second')
               and (definition, definition_version) in (select * from unnest($3::text[], $4::int[]))
             order by next_wakeup_at
             limit $5
               for update of sagas skip locked)
   returning ${columns}`,
);

/** Records many transitions at once; those whose token or version no longer match are left out of the answer. */
export const recordTransitions = statement(
  "kit-record-saga-transitions",
  `with clock as materialized (select souk_now() as now)
   update kit.sagas s
      set status = t.status, step = t.step, results = s.results || t.result, failure = coalesce(t.failure, s.failure),
          parking = t.parking, attempt = t.attempt, version = s.version + 1, updated_at = c.now,
          step_started_at = case when t.step_changed then c.now else s.step_started_at end,
          next_wakeup_at = case when t.wake_in_ms > 0 then c.now + t.wake_in_ms * interval '1 millisecond'
                                else s.next_wakeup_at end,
          lease_owner = case when t.released then null else s.lease_owner end,
          lease_expires_at = case when t.released then null else c.now + $12 * interval '1 millisecond' end
     from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::int[], $6::jsonb[], $7::jsonb[], $8::int[],
                 $9::bool[], $10::int[], $11::bool[], $13::jsonb[])
            as t (saga_id, fencing_token, version, status, step, result, failure, attempt, step_changed, wake_in_ms, released,
                  parking),
          clock c
    where s.saga_id = t.saga_id and s.fencing_token = t.fencing_token and s.version = t.version
   returning s.saga_id`,
);

export const renewLeases = statement(
  "kit-renew-saga-leases",
  `update kit.sagas set lease_expires_at = souk_now() + $3 * interval '1 millisecond'
    where saga_id = any($1) and lease_owner = $2 and status in ('running', 'compensating')
   returning saga_id, fencing_token`,
);

/** Gives all leases back at shutdown, so that another replica need not wait for them to expire. */
export const releaseLeases = statement(
  "kit-release-saga-leases",
  `update kit.sagas set lease_owner = null, lease_expires_at = null
    where lease_owner = $1 and status in ('running', 'compensating')`,
);

/** The newest saga of a definition about each subject. */
export const selectBySubjects = statement(
  "kit-select-sagas-by-subject",
  `select distinct on (subject_id) ${columns} from kit.sagas where subject_id = any($1) and definition = $2
    order by subject_id, created_at desc`,
);

const operatorColumns = `${columns}, lease_expires_at, next_wakeup_at, created_at, updated_at,
       status in ('running', 'compensating') and next_wakeup_at < souk_now() - $1 * interval '1 millisecond'
         and coalesce(lease_expires_at, '-infinity') < souk_now() - $1 * interval '1 millisecond' as overdue`;

/** Newest first: ids sort by when they were made. */
export const selectPage = statement(
  "kit-select-saga-page",
  `select ${operatorColumns} from kit.sagas
    where ($2::text = '' or saga_id < $2) and ($3::text = '' or status = $3) and ($4::text = '' or subject_id = $4)
    order by saga_id desc limit $5`,
);

export const selectSaga = statement(
  "kit-select-saga",
  `select ${operatorColumns} from kit.sagas where saga_id = $2`,
);

/** Two operators who act on one saga act one after the other. */
export const lockSaga = statement(
  "kit-lock-saga",
  `select ${operatorColumns} from kit.sagas where saga_id = $2 for update`,
);

/** Each count has a partial index, so that measuring costs nothing however many sagas there were. */
export const countSagas = statement(
  "kit-count-sagas",
  `select definition, 'in flight' as what, count(*)::int as sagas from kit.sagas
    where status in ('running', 'compensating') group by definition
   union all
   select definition, 'parked', count(*)::int from kit.sagas where status = 'parked' group by definition
   union all
   select definition, 'unserved', count(*)::int from kit.sagas, (select souk_now() as now) clock
    where status in ('running', 'compensating') and next_wakeup_at < clock.now - $3 * interval '1 millisecond'
      and (lease_expires_at is null or lease_expires_at < clock.now - $3 * interval '1 millisecond')
      and (definition, definition_version) not in (select * from unnest($1::text[], $2::int[]))
    group by definition`,
);
