import { statement } from "#kit/postgres/postgres.ts";

const stockColumns = `sku, on_hand, reserved, updated_at`;

/** $1 SKU. */
export const selectStock = statement(
  "inventory-select-stock",
  `select ${stockColumns} from stock where sku = $1`,
);

/** $1 the last SKU of the page before, $2 rows. */
export const selectStockPage = statement(
  "inventory-select-stock-page",
  `select ${stockColumns} from stock where sku > $1 order by sku limit $2`,
);

/** $1 SKU, $2 the last movement's uuid of the page before or null, $3 rows. */
export const selectMovementPage = statement(
  "inventory-select-movement-page",
  `select sku, movement_id, quantity, reason, note, order_id, occurred_at from movements
   where sku = $1 and ($2::uuid is null or movement_id < $2) order by movement_id desc limit $3`,
);

/** $1 by whom, $2 key. */
export const selectAdjustment = statement(
  "inventory-select-adjustment",
  `select sku, quantity, reason, note from movements where adjusted_by = $1 and adjust_key = $2`,
);

const adjusted = `returning ${stockColumns}, low_threshold, version`;

/** The movement is written from the stock row, so there is none without a change. */
const recorded = `
   moved as (
     insert into movements (sku, quantity, reason, note, adjusted_by, adjust_key, occurred_at)
     select sku, $2, $3, $4, $5, $6, updated_at from changed
   )
   select * from changed`;

/** $1 SKU, $2 pieces to add, $3 reason, $4 note, $5 by whom, $6 key. No row where the stock would exceed what the table can count. */
export const addStock = statement(
  "inventory-add-stock",
  `with changed as (
     insert into stock (sku, on_hand, updated_at) values ($1, $2::integer, souk_now())
     on conflict (sku) do update
       set on_hand = stock.on_hand + excluded.on_hand, version = stock.version + 1, updated_at = excluded.updated_at
       where stock.on_hand + excluded.on_hand <= 1000000000
     ${adjusted}
   ),${recorded}`,
);

/** $1 SKU, $2 pieces to add (negative), $3 reason, $4 note, $5 by whom, $6 key. No row where fewer pieces are available. */
export const removeStock = statement(
  "inventory-remove-stock",
  `with changed as (
     update stock set on_hand = on_hand + $2::integer, version = version + 1, updated_at = souk_now()
     where sku = $1 and on_hand + $2 >= reserved
     ${adjusted}
   ),${recorded}`,
);
