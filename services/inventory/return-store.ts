import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import { returnExceedsSale, type StockLine } from "./reservation.ts";
import { type ChangeRow, toChanges } from "./reservation-rows.ts";
import type { AvailabilityChange } from "./stock.ts";

/**
 * $1 order, $2 key, $3 SKUs in order, $4 quantities. All lines or, naming the SKU, none; nothing for a key that was used before.
 * The order's reservation must be locked by an earlier statement: only then does this one see every earlier return.
 */
const returnStock = statement(
  "inventory-return-stock",
  `with clock as materialized (select souk_now() as time),
   earlier as materialized (select from returns where return_key = $2),
   wanted as materialized (select * from unnest($3::text[], $4::integer[]) as line (sku, quantity)),
   bought as (
     select line.sku, line.quantity from reservations
     cross join unnest(reservations.skus, reservations.quantities) as line (sku, quantity) where order_id = $1
   ),
   back as (
     select line.sku, sum(line.quantity) as quantity from returns
     cross join unnest(returns.skus, returns.quantities) as line (sku, quantity) where order_id = $1 group by line.sku
   ),
   excess as materialized (
     select wanted.sku from wanted left join bought using (sku) left join back using (sku)
     where not exists (select from earlier)
       and wanted.quantity + coalesce(back.quantity, 0) > coalesce(bought.quantity, 0)
     order by wanted.sku limit 1
   ),
   locked as materialized (
     select stock.sku, wanted.quantity from wanted join stock using (sku)
     where not exists (select from earlier) and not exists (select from excess)
     order by stock.sku for update of stock
   ),
   noted as (
     insert into returns (return_key, order_id, skus, quantities, returned_at)
     select $2, $1, $3, $4, clock.time from clock where exists (select from locked)
   ),
   counted as (
     update reservations set version = version + 1, updated_at = clock.time
     from clock where order_id = $1 and exists (select from locked)
     returning version
   ),
   returned as (
     update stock set on_hand = stock.on_hand + locked.quantity, version = version + 1, updated_at = clock.time
     from locked, clock where stock.sku = locked.sku
     returning stock.sku, stock.on_hand - stock.reserved as available, locked.quantity as delta,
       stock.low_threshold, stock.version
   ),
   moved as (
     insert into movements (sku, quantity, reason, order_id, occurred_at)
     select locked.sku, locked.quantity, 'returned', $1, clock.time from locked, clock
   )
   select null as excess_sku, counted.version as reservation_version, returned.* from returned, counted
   union all select sku, null, null, null, null, null, null from excess`,
);

/** What came back, and what that did to the stock of its SKUs. */
export interface StockReturn {
  /** The reservation's, after the change. */
  readonly reservationVersion: bigint;
  readonly changes: readonly AvailabilityChange[];
}

/**
 * Takes sold pieces back, all lines or none; `lines` are merged lines in their order, and the order's reservation is locked.
 * Undefined where the key was used before: the pieces are in stock already.
 * @throws ServiceError RETURN_EXCEEDS_SALE naming the first SKU of which the order did not buy so many.
 */
export async function takeBack(
  tx: Transaction,
  { orderId, key, lines }: { orderId: string; key: string; lines: readonly StockLine[] },
): Promise<StockReturn | undefined> {
  const values = [orderId, key, lines.map(({ sku }) => sku), lines.map(({ quantity }) => quantity)];
  const rows = await tx.query<ReturnedRow>(returnStock, values);
  const [first] = rows;
  if (!first) return undefined;
  if (first.excess_sku !== null) throw returnExceedsSale(first.excess_sku);
  return { reservationVersion: first.reservation_version, changes: toChanges(rows) };
}

interface ReturnedRow extends ChangeRow {
  readonly excess_sku: string | null;
  readonly reservation_version: bigint;
}
