import { type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";

/** What a SKU's row says, and what its movements and reservations add up to. */
export interface StockAudit {
  readonly sku: string;
  readonly onHand: number;
  readonly reserved: number;
  /** Sum of the movements. */
  readonly moved: number;
  /** Sum of the held reservations. */
  readonly held: number;
  /** The newest movement looked at; null where there is none behind the checkpoint. */
  readonly lastMovementUuid: string | null;
}

const selectSkus = statement(
  "inventory-select-skus",
  `select sku from stock where sku > $1 order by sku limit $2`,
);

/**
 * $1 SKUs, $2 whether from the first movement on, instead of from the last checkpoint. One statement, so one snapshot: row,
 * movement and reservation change in one transaction, and no order under way can make them disagree here.
 */
const auditStock = statement(
  "inventory-audit-stock",
  `with held as materialized (
     select line.sku, sum(line.quantity)::int as quantity
       from reservations cross join unnest(skus, quantities) as line (sku, quantity)
      where status = 'held' and line.sku = any($1) group by line.sku
   )
   select s.sku, s.on_hand as "onHand", s.reserved, (coalesce(c.on_hand, 0) + moved.quantity)::int as moved,
          coalesce(held.quantity, 0) as held, moved.last_id as "lastMovementUuid"
     from stock s
     left join stock_checkpoints c on c.sku = s.sku and not $2
     left join held on held.sku = s.sku
     cross join lateral (
       select coalesce(sum(m.quantity), 0) as quantity, max(m.movement_id::text) as last_id from movements m
        where m.sku = s.sku and m.movement_id > coalesce(c.movement_id, '00000000-0000-0000-0000-000000000000')) as moved
    where s.sku = any($1) order by s.sku`,
);

const saveCheckpoints = statement(
  "inventory-save-stock-checkpoints",
  `insert into stock_checkpoints as c (sku, movement_id, on_hand)
   select * from unnest($1::text[], $2::uuid[], $3::int[])
   on conflict (sku) do update set movement_id = excluded.movement_id, on_hand = excluded.on_hand
     where c.movement_id < excluded.movement_id`,
);

const deleteCheckpoints = statement(
  "inventory-delete-stock-checkpoints",
  `delete from stock_checkpoints where sku = any($1)`,
);

/** SKUs behind `after`, in order. */
export async function readSkus(source: Queryable, after: string, limit: number): Promise<string[]> {
  const rows = await source.query<{ sku: string }>(selectSkus, [after, limit]);
  return rows.map(({ sku }) => sku);
}

/** Adds up some SKUs; `fromFirst` trusts no checkpoint. SKUs without a row are left out. */
export const readStockAudits = (
  source: Queryable,
  skus: readonly string[],
  fromFirst: boolean,
): Promise<StockAudit[]> => source.query<StockAudit>(auditStock, [skus, fromFirst]);

/** Remembers up to where SKUs added up, and forgets it for those that do not: they are added up from the first movement. */
export async function moveCheckpoints(
  tx: Transaction,
  { sound, broken }: { readonly sound: readonly StockAudit[]; readonly broken: readonly StockAudit[] },
): Promise<void> {
  const newer = sound.filter(({ lastMovementUuid }) => lastMovementUuid !== null);
  if (newer.length > 0) {
    const columns = [
      newer.map(({ sku }) => sku),
      newer.map((one) => one.lastMovementUuid),
      newer.map((one) => one.onHand),
    ];
    await tx.query(saveCheckpoints, columns);
  }
  if (broken.length > 0) await tx.query(deleteCheckpoints, [broken.map(({ sku }) => sku)]);
}
