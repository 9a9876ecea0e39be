import { statement } from "#kit/postgres/postgres.ts";

/** Held by the session of the one run of a comparison. */
export const tryRunLock = statement(
  "kit-try-reconciliation-lock",
  `select pg_try_advisory_lock(hashtext('souk reconciliation'), hashtext($1)) as held`,
);

/** A process that is stopped keeps its connection: the server ends it, and the lock with it, after this long without a page. */
export const endWhenIdle = statement("kit-end-idle-reconciliation", `set idle_session_timeout = '60s'`);

export const holdOn = statement("kit-hold-reconciliation-lock", `select 1`);

/** The real time, not the shop's: it is compared with ids, which carry the time of the process that made them. */
export const selectState = statement(
  "kit-select-reconciliation",
  `select now() as now, r.compared_until, r.all_compared_at, coalesce(r.left_out, '{}') as left_out,
          extract(epoch from r.finished_at)::float as finished_at_seconds,
          extract(epoch from now() - r.finished_at)::float * 1000 as finished_ago_ms,
          coalesce(r.compared, 0) as compared
     from (values ($1)) as wanted (name) left join kit.reconciliations r using (name)`,
);

export const saveState = statement(
  "kit-save-reconciliation",
  `insert into kit.reconciliations as r (name, compared_until, all_compared_at, left_out, compared, finished_at)
   values ($1, $2, $3, coalesce($4::text[], '{}'), $5, now())
   on conflict (name) do update
     set compared_until = coalesce(excluded.compared_until, r.compared_until),
         all_compared_at = coalesce(excluded.all_compared_at, r.all_compared_at),
         left_out = coalesce($4::text[], r.left_out), compared = excluded.compared, finished_at = excluded.finished_at`,
);

export const selectOpenSubjects = statement(
  "kit-select-open-findings",
  `select subject_id from kit.findings where reconciliation = $1 and settled_at is null order by subject_id limit $2`,
);

export const countOpen = statement(
  "kit-count-open-findings",
  `select count(*)::int as open from kit.findings where reconciliation = $1 and settled_at is null`,
);

/** $1 comparison, $2 new ids, $3 subjects, $4 details. A disagreement that stands keeps its row. */
export const upsertFindings = statement(
  "kit-upsert-findings",
  `insert into kit.findings as f (finding_id, reconciliation, subject_id, detail, found_at)
   select n.finding_id, $1, n.subject_id, n.detail, souk_now()
     from unnest($2::text[], $3::text[], $4::text[]) as n (finding_id, subject_id, detail)
   on conflict (reconciliation, subject_id) where settled_at is null do update set detail = excluded.detail
   returning finding_id, subject_id, detail`,
);

export const settleFindings = statement(
  "kit-settle-findings",
  `update kit.findings set settled_at = souk_now()
    where reconciliation = $1 and subject_id = any($2) and settled_at is null`,
);

const columns = `finding_id, reconciliation, subject_id, detail, found_at, settled_at`;

/** $1 comparisons, $2 the last id of the page before or null, $3 settled ones too, $4 rows. Ids sort by when they were made. */
export const selectFindings = statement(
  "kit-select-findings",
  `select ${columns} from kit.findings
    where ($1::text[] is null or reconciliation = any($1)) and ($2::text is null or finding_id < $2)
      and ($3 or settled_at is null)
    order by finding_id desc limit $4`,
);
