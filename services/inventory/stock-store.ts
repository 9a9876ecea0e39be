import type { Queryable, Transaction } from "#kit/postgres/postgres.ts";
import type { Adjustment, AvailabilityChange, Movement, MovementReason, Stock } from "./stock.ts";
import {
  addStock,
  removeStock,
  selectAdjustment,
  selectMovementPage,
  selectStock,
  selectStockPage,
} from "./stock-statements.ts";

/** Who adjusts under which key: the natural key of an adjustment. */
export interface AdjustmentKey {
  readonly adjustedBy: string;
  readonly adjustKey: string;
}

/** The stock of a SKU, or undefined where it never had any. */
export async function readStock(source: Queryable, sku: string): Promise<Stock | undefined> {
  const [row] = await source.query<StockRow>(selectStock, [sku]);
  return row && toStock(row);
}

/** Stock by SKU, from after the given one. */
export async function readStockPage(
  source: Queryable,
  page: { afterSku: string; limit: number },
): Promise<Stock[]> {
  const rows = await source.query<StockRow>(selectStockPage, [page.afterSku, page.limit]);
  return rows.map(toStock);
}

/** What happened to a SKU, newest first, from before the given movement. */
export async function readMovementPage(
  source: Queryable,
  page: { sku: string; beforeUuid: string | undefined; limit: number },
): Promise<Movement[]> {
  const values = [page.sku, page.beforeUuid ?? null, page.limit];
  const rows = await source.query<MovementRow>(selectMovementPage, values);
  return rows.map(toMovement);
}

/** What was adjusted under a key, if anything was. */
export async function readAdjustment(
  source: Queryable,
  { adjustedBy, adjustKey }: AdjustmentKey,
): Promise<Adjustment | undefined> {
  const [adjustment] = await source.query<Adjustment>(selectAdjustment, [adjustedBy, adjustKey]);
  return adjustment;
}

/** Adds or removes pieces and notes the movement; undefined, with nothing changed, where that cannot be. */
export async function adjustStock(
  tx: Transaction,
  { sku, quantity, reason, note, adjustedBy, adjustKey }: Adjustment & AdjustmentKey,
): Promise<{ stock: Stock; change: AvailabilityChange } | undefined> {
  const adjust = quantity > 0 ? addStock : removeStock;
  const [row] = await tx.query<AdjustedRow>(adjust, [sku, quantity, reason, note, adjustedBy, adjustKey]);
  if (!row) return undefined;
  const available = row.on_hand - row.reserved;
  const change = {
    sku,
    available,
    availableDelta: quantity,
    lowThreshold: row.low_threshold,
    version: row.version,
  };
  return { stock: toStock(row), change };
}

interface StockRow {
  sku: string;
  on_hand: number;
  reserved: number;
  updated_at: Date;
}

interface AdjustedRow extends StockRow {
  low_threshold: number;
  version: bigint;
}

interface MovementRow {
  sku: string;
  movement_id: string;
  quantity: number;
  reason: MovementReason;
  note: string;
  order_id: string | null;
  occurred_at: Date;
}

const toStock = (row: StockRow): Stock => ({
  sku: row.sku,
  onHand: row.on_hand,
  reserved: row.reserved,
  updatedAt: row.updated_at,
});

const toMovement = (row: MovementRow): Movement => ({
  movementUuid: row.movement_id,
  sku: row.sku,
  quantity: row.quantity,
  reason: row.reason,
  note: row.note,
  orderId: row.order_id ?? undefined,
  occurredAt: row.occurred_at,
});
