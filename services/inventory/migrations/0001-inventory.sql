-- Stock is the hottest table: every order changes the same few rows. Room on each page keeps those updates in place.
create table stock (
  sku text collate "C" primary key,
  on_hand integer not null check (on_hand between 0 and 1000000000),
  reserved integer not null default 0,
  low_threshold integer not null default 5 check (low_threshold >= 0),
  version bigint not null default 1,
  updated_at timestamptz not null,
  constraint stock_adds_up check (reserved >= 0 and reserved <= on_hand)
) with (fillfactor = 50);

-- One row per order, lines included: a reservation is always written and read whole.
create table reservations (
  order_id text collate "C" primary key,
  reservation_id text not null,
  status text not null check (status in ('held', 'released', 'committed', 'expired')),
  skus text[] not null,
  quantities integer[] not null check (cardinality(quantities) = cardinality(skus)),
  version bigint not null default 1,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
) with (fillfactor = 70);

-- Holds only what can still expire, so the expiry job's cost does not grow with the number of orders.
create index reservations_held on reservations (expires_at) where status = 'held';

-- Ids are UUIDv7, so the key is also the order of time within a SKU.
create table movements (
  sku text collate "C" not null references stock (sku),
  movement_id uuid not null default uuidv7(),
  quantity integer not null check (quantity <> 0),
  reason text not null check (reason in ('received', 'damaged', 'counted', 'sold', 'returned')),
  note text not null default '',
  order_id text,
  occurred_at timestamptz not null,
  primary key (sku, movement_id)
);
