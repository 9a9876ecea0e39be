-- Who adjusted by hand, and under which key: the natural key of an adjustment, which still stops a second one when the remembered
-- answer has been forgotten. Sales and returns have their own, and none here.
alter table movements
  add column adjusted_by text,
  add column adjust_key text,
  add constraint movements_adjusted_under_a_key check (num_nonnulls(adjusted_by, adjust_key) in (0, 2));

create unique index movements_adjust_key on movements (adjusted_by, adjust_key) where adjust_key is not null;
