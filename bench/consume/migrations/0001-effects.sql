create table effects (event_id uuid primary key, available integer not null);
