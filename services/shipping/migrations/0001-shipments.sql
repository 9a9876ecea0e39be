-- One row per booking a saga asked for. The unique key is the natural one: it still stops a second parcel when the
-- remembered answer has been forgotten.
-- A row without a customer is a cancellation that came before its booking. Sharing the unique key with real shipments is
-- what orders the two when they arrive at the same moment: one waits for the other's commit and then meets its row.
create table shipments (
  shipment_id text primary key,
  order_id text not null,
  book_key text not null,
  customer_id text,
  service_level text check (service_level in ('STANDARD', 'EXPRESS')),
  pieces integer check (pieces > 0),
  -- Kept only while the outcome is unknown: asking again needs it, and the carrier has it afterwards.
  destination jsonb check (destination is null or status = 'PENDING'),
  status text not null check (status in ('PENDING', 'BOOKED', 'REFUSED', 'CANCELLED')),
  carrier_reference text,
  tracking_number text not null default '',
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint shipments_book_key unique (book_key),
  constraint shipments_asked_for_or_cancelled check (
    num_nonnulls(customer_id, service_level, pieces) = 3
    or (num_nonnulls(customer_id, service_level, pieces) = 0 and status = 'CANCELLED')
  )
) with (fillfactor = 70);
