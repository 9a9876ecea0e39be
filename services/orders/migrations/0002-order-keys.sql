-- What a customer asked for an order under: its natural key. It still stops a second order, and with it a second charge, when the
-- remembered answer has been forgotten. No part of the views: those are rebuilt from events.
create table order_keys (
  customer_id text not null,
  key text not null,
  order_id text not null,
  primary key (customer_id, key)
);
