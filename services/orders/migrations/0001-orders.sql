-- The truth: what happened to each order. The payload is the event's protobuf message, so that old events stay readable.
create table order_events (
  order_id text not null,
  version bigint not null,
  type text not null,
  payload bytea not null,
  occurred_at timestamptz not null,
  primary key (order_id, version)
);

-- A fold of the events, written in their transaction: what GetOrder and ListOrders read.
create table order_views (
  order_id text primary key,
  customer_id text not null,
  status text not null check (status in ('pending', 'confirmed', 'cancelled')),
  version bigint not null,
  document bytea not null,
  placed_at timestamptz not null,
  updated_at timestamptz not null
) with (fillfactor = 80);

create index order_views_by_customer on order_views (customer_id, placed_at desc, order_id desc);
