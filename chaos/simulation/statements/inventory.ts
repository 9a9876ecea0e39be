// What inventory's statements do. Each follows the SQL of its name in services/inventory/.
import { reservationLifetimeMs } from "../../../services/inventory/reservation.ts";
import type { Journal, StatementModels } from "../model-database.ts";

/** Pieces of one SKU. */
export interface StockRow {
  readonly sku: string;
  readonly onHand: number;
  readonly reserved: number;
  readonly version: bigint;
}

/** Pieces set aside for one order. */
export interface ReservationRow {
  readonly orderId: string;
  readonly reservationId: string;
  readonly status: "held" | "released" | "committed" | "expired";
  readonly skus: readonly string[];
  readonly quantities: readonly number[];
  readonly version: bigint;
  readonly expiresAt: Date;
}

interface Returned {
  readonly orderId: string;
  readonly skus: readonly string[];
  readonly quantities: readonly number[];
}

/** Inventory's tables. `onBreach` hears of a write that the tables' checks would refuse. */
export interface InventoryTables {
  readonly stock: Map<string, StockRow>;
  readonly reservations: Map<string, ReservationRow>;
  /** Pieces sold and not returned, by SKU. */
  readonly sold: Map<string, number>;
  /** What came back, by key. */
  readonly returns: Map<string, Returned>;
  readonly onBreach: (what: string) => void;
}

const lowThreshold = 5;

const changeOf = ({ sku, onHand, reserved, version }: StockRow, delta: number) => ({
  sku,
  available: onHand - reserved,
  delta,
  low_threshold: lowThreshold,
  version,
});

/** Changes a SKU's counts and answers the row that tells of it. */
function change(tables: InventoryTables, journal: Journal, sku: string, by: Partial<StockRow>) {
  const row = tables.stock.get(sku);
  if (!row) throw new Error(`there is no stock of ${sku}`);
  const { onHand = 0, reserved = 0 } = by;
  const after = {
    sku,
    onHand: row.onHand + onHand,
    reserved: row.reserved + reserved,
    version: row.version + 1n,
  };
  if (after.reserved < 0 || after.reserved > after.onHand)
    tables.onBreach(`stock of ${sku}: ${after.reserved} reserved of ${after.onHand}`);
  journal.put(tables.stock, sku, after);
  return changeOf(after, onHand - reserved);
}

const linesOf = ({ skus, quantities }: Pick<ReservationRow, "skus" | "quantities">) =>
  skus.map((sku, index) => ({ sku, quantity: quantities[index] ?? 0 }));

const available = ({ stock }: InventoryTables, sku: string) => {
  const row = stock.get(sku);
  return row ? row.onHand - row.reserved : 0;
};

const toRow = (reservation: ReservationRow, version: bigint) => ({
  order_id: reservation.orderId,
  reservation_id: reservation.reservationId,
  skus: reservation.skus,
  quantities: reservation.quantities,
  expires_at: reservation.expiresAt,
  status_before: reservation.status,
  reservation_version: version,
});

const toSelected = (found: ReservationRow) => ({
  ...toRow(found, found.version),
  status: found.status,
  returned_skus: [],
  returned_quantities: [],
});

/** A release that came first is no reservation. */
const find = ({ reservations }: InventoryTables, orderId: string) => {
  const found = reservations.get(orderId);
  return found && found.skus.length > 0 ? found : undefined;
};

/** Models of the reservation store's statements. */
export function inventoryStatements(tables: InventoryTables, nowMs: () => number): StatementModels {
  return {
    "inventory-insert-reservation": ([orderId, reservationId, skus, quantities, lifetimeMs], journal) => {
      const expiresAt = new Date(nowMs() + Number(lifetimeMs));
      const held = { status: "held" as const, version: 1n, expiresAt };
      return reserve(tables, { orderId, reservationId, skus, quantities, ...held }, journal);
    },
    "inventory-reserve-together": ([orderId, reservationId, skus, quantities], journal) => {
      const expiresAt = new Date(nowMs() + reservationLifetimeMs);
      const lines = { skus: wordsOf(skus), quantities: wordsOf(quantities).map(Number) };
      const held = { orderId, reservationId, ...lines, status: "held" as const, version: 1n, expiresAt };
      const rows = reserve(tables, held, journal);
      // What one statement cannot do for all it does for none.
      return rows.some(({ short_sku }) => short_sku !== null) ? [] : rows;
    },
    "inventory-insert-release-ahead": ([orderId, reservationId], journal) => {
      if (tables.reservations.has(orderId)) return [];
      const ended = { status: "released" as const, version: 1n, expiresAt: new Date(nowMs()) };
      journal.put(tables.reservations, orderId, {
        orderId,
        reservationId,
        skus: [],
        quantities: [],
        ...ended,
      });
      return [];
    },
    "inventory-select-reservations": ([orderIds]) =>
      (orderIds as readonly string[]).flatMap((orderId) => find(tables, orderId) ?? []).map(toSelected),
    "inventory-release-reservation": ([orderId], journal) => release(tables, orderId, journal),
    "inventory-extend-reservation": ([orderId, lifetimeMs], journal) => {
      const found = tables.reservations.get(orderId);
      if (found?.status !== "held") return [];
      const kept = { ...found, expiresAt: new Date(nowMs() + Number(lifetimeMs)) };
      journal.put(tables.reservations, orderId, kept);
      return [toRow(kept, kept.version)];
    },
    "inventory-return-stock": ([orderId, key, skus, quantities], journal) =>
      takeBack(tables, key, { orderId, skus, quantities }, journal),
    "inventory-commit-reservations": ([orderIds, reservationIds], journal) =>
      commit(tables, orderIds, reservationIds, journal),
  };
}

const wordsOf = (text: string) => text.split(" ");

function reserve(tables: InventoryTables, wanted: ReservationRow, journal: Journal) {
  const lines = linesOf(wanted);
  const short = lines.find(({ sku, quantity }) => available(tables, sku) < quantity);
  if (short) return [{ short_sku: short.sku }];
  if (tables.reservations.has(wanted.orderId)) return [];
  journal.put(tables.reservations, wanted.orderId, wanted);
  const taken = lines.map(({ sku, quantity }) => change(tables, journal, sku, { reserved: quantity }));
  return taken.map((row) => ({ short_sku: null, expires_at: wanted.expiresAt, ...row }));
}

function release(tables: InventoryTables, orderId: string, journal: Journal) {
  const found = find(tables, orderId);
  if (!found) return [];
  if (found.status !== "held") return [{ ...toRow(found, found.version), sku: null }];
  const version = found.version + 1n;
  journal.put(tables.reservations, orderId, { ...found, status: "released", version });
  return linesOf(found).map(({ sku, quantity }) => ({
    ...toRow(found, version),
    ...change(tables, journal, sku, { reserved: -quantity }),
  }));
}

/** The orders of one call do not compete here: the inbox of the simulation applies events one by one. */
function commit(
  tables: InventoryTables,
  orderIds: readonly string[],
  reservationIds: readonly string[],
  journal: Journal,
) {
  return orderIds.flatMap((orderId, index) => {
    const found = tables.reservations.get(orderId);
    return found && found.reservationId === reservationIds[index] ? sell(tables, found, journal) : [];
  });
}

function sell(tables: InventoryTables, found: ReservationRow, journal: Journal): object[] {
  if (found.status === "committed") return [{ ...toRow(found, found.version), short_skus: [], sku: null }];
  const held = found.status === "held";
  const lines = linesOf(found);
  const short = lines.filter(({ sku, quantity }) => !held && available(tables, sku) < quantity);
  if (short.length > 0)
    return [{ ...toRow(found, found.version), short_skus: short.map(({ sku }) => sku), sku: null }];
  const version = found.version + 1n;
  journal.put(tables.reservations, found.orderId, { ...found, status: "committed", version });
  const sold = lines.map(({ sku, quantity }) => {
    journal.put(tables.sold, sku, (tables.sold.get(sku) ?? 0) + quantity);
    return change(tables, journal, sku, { onHand: -quantity, reserved: held ? -quantity : 0 });
  });
  const changes = sold.filter(({ delta }) => delta !== 0).map((row) => ({ order_id: null, ...row }));
  return [{ ...toRow(found, version), short_skus: [], sku: null }, ...changes];
}

function takeBack(tables: InventoryTables, key: string, back: Returned, journal: Journal): object[] {
  const { returns, reservations } = tables;
  if (returns.has(key)) return [];
  const found = reservations.get(back.orderId);
  if (!found) throw new Error(`nothing was reserved for ${back.orderId}`);
  const before = [...returns.values()].filter(({ orderId }) => orderId === back.orderId);
  const count = (some: readonly Pick<Returned, "skus" | "quantities">[], sku: string) =>
    some.flatMap(linesOf).reduce((sum, line) => sum + (line.sku === sku ? line.quantity : 0), 0);
  const lines = linesOf(back);
  const excess = lines.find(({ sku, quantity }) => count(before, sku) + quantity > count([found], sku));
  if (excess) return [{ excess_sku: excess.sku }];
  journal.put(returns, key, back);
  const version = found.version + 1n;
  journal.put(reservations, back.orderId, { ...found, version });
  return lines.map(({ sku, quantity }) => {
    journal.put(tables.sold, sku, (tables.sold.get(sku) ?? 0) - quantity);
    const changed = change(tables, journal, sku, { onHand: quantity });
    return { excess_sku: null, reservation_version: version, ...changed };
  });
}
