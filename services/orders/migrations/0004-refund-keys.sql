-- What a return or refund was asked for under: its natural key. It still stops a second one when the remembered answer has been
-- forgotten.
create table refund_keys (
  requested_by text not null,
  kind text not null check (kind in ('return', 'refund')),
  key text not null,
  order_id text not null,
  refund_id text not null,
  primary key (requested_by, kind, key)
);
