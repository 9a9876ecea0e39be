-- A column that only the next release of orders knows (orders-next.ts).
alter table order_views add column if not exists noted_by text;
