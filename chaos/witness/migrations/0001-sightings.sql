create table sightings (
  sighting bigint generated always as identity primary key,
  event_id uuid not null,
  type text not null,
  aggregate_id text not null,
  aggregate_version bigint not null,
  deliveries integer not null,
  seen_at timestamptz not null default now()
);
