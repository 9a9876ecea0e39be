-- Up to where a SKU's movements were found to add up, so that the next comparison only looks at later ones.
create table stock_checkpoints (
  sku text collate "C" primary key references stock (sku),
  movement_id uuid not null,
  on_hand integer not null
);
