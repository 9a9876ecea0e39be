-- A confirmed order may be on its way back, or have been paid back.
alter table order_views
  drop constraint order_views_status_check,
  add constraint order_views_status_known
    check (status in ('pending', 'confirmed', 'cancelled', 'cancelling', 'refunding', 'refunded'));
