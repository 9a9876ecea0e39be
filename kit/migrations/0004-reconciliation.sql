-- How far each comparison has come. `left_out` holds what was not at rest when the last run came to it; the next run begins
-- with that, so nothing escapes by being busy.
create table kit.reconciliations (
  name text primary key,
  compared_until timestamptz,
  all_compared_at timestamptz,
  left_out text[] not null default '{}',
  compared bigint not null default 0,
  finished_at timestamptz not null
);

-- Records that disagree. The unique index is what lets a disagreement keep its id from run to run.
create table kit.findings (
  finding_id text primary key,
  reconciliation text not null,
  subject_id text not null,
  detail text not null,
  found_at timestamptz not null,
  settled_at timestamptz
);
create unique index findings_open on kit.findings (reconciliation, subject_id) where settled_at is null;
