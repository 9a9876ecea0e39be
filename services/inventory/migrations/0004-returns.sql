-- What came back of each order, under the key of the command that said so: it stops a second return when the remembered
-- answer has been forgotten, and its sum is what an order may not exceed.
create table returns (
  return_key text collate "C" primary key,
  order_id text collate "C" not null references reservations (order_id),
  skus text[] not null,
  quantities integer[] not null check (cardinality(quantities) = cardinality(skus)),
  returned_at timestamptz not null
);

create index returns_by_order on returns (order_id);
