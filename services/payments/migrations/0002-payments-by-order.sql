-- Comparisons with orders look payments up by their order. An order's id never changes, so no update pays for this.
create index payments_by_order on payments (order_id);
