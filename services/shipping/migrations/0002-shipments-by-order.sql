-- Comparisons look shipments up by their order. An order's id never changes, so no update pays for this.
create index shipments_by_order on shipments (order_id);
