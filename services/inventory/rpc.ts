import {
  type AdjustStockRequest,
  type ExtendReservationRequest,
  InventoryService,
  type ListMovementsRequest,
  type ListStockRequest,
  type ReleaseStockRequest,
  type ReserveStockRequest,
  type ReturnStockRequest,
} from "#gen/souk/inventory/v1/inventory_pb.ts";
import { cancelCommand } from "#kit/idempotency/idempotency.ts";
import { newId } from "#kit/ids/ids.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Database, Queryable, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command, type HandlersFor, query, Refusal } from "#kit/service/handlers.ts";
import {
  announceCommitted,
  announceReleased,
  announceReserved,
  announceReturned,
  announceThresholds,
} from "./announcements.ts";
import { fromWireReason, toMovementMessage, toReservationMessage, toStockMessage } from "./messages.ts";
import {
  mergeLines,
  outOfStock,
  reservationEnded,
  reservationNotFound,
  reservationNotHeld,
  reservationNotSold,
} from "./reservation.ts";
import { commit, extend, readReservations, release, releaseAhead, reserve } from "./reservation-store.ts";
import { takeBack } from "./return-store.ts";
import { checkSameAdjustment, stockLimitExceeded, stockNotFound, stockWouldBeNegative } from "./stock.ts";
import { adjustStock, readAdjustment, readMovementPage, readStock, readStockPage } from "./stock-store.ts";

const rpcs = InventoryService.method;

/** Answers the inventory contract. */
export const inventoryRpc = ({ db }: { readonly db: Database }): HandlersFor<typeof InventoryService> => ({
  getStock: query(rpcs.getStock, ({ sku }) => getStock(db, sku)),
  listStock: query(rpcs.listStock, (request) => listStock(db, request)),
  listMovements: query(rpcs.listMovements, (request) => listMovements(db, request)),
  adjustStock: command(rpcs.adjustStock, { apply: applyAdjustment }),
  reserveStock: command(rpcs.reserveStock, { groupCommit: true, apply: applyReservation }),
  batchGetReservations: query(rpcs.batchGetReservations, async ({ orderIds }) => ({
    reservations: (await readReservations(db, orderIds)).map(toReservationMessage),
  })),
  extendReservation: command(rpcs.extendReservation, { apply: applyExtension }),
  releaseStock: command(rpcs.releaseStock, { apply: applyRelease }),
  returnStock: command(rpcs.returnStock, { apply: applyReturn }),
});

const skuShape = /^[A-Z0-9][A-Z0-9-]{0,39}$/;
const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function getStock(source: Queryable, sku: string) {
  const stock = await readStock(source, sku);
  if (!stock) throw stockNotFound(sku);
  return { stock: toStockMessage(stock) };
}

async function listStock(db: Database, { pageSize, pageToken }: ListStockRequest) {
  const size = pageSize || defaultPageSize;
  const scope = ["ListStock"];
  const [afterSku = ""] = parsePageToken(scope, pageToken, [skuShape]) ?? [];
  const { items, last } = cutPage(await readStockPage(db, { afterSku, limit: size + 1 }), size);
  return { stock: items.map(toStockMessage), nextPageToken: last ? toPageToken(scope, [last.sku]) : "" };
}

async function listMovements(db: Database, { sku, pageSize, pageToken }: ListMovementsRequest) {
  const size = pageSize || defaultPageSize;
  const scope = ["ListMovements", sku];
  const [beforeUuid] = parsePageToken(scope, pageToken, [uuidShape]) ?? [];
  const { items, last } = cutPage(await readMovementPage(db, { sku, beforeUuid, limit: size + 1 }), size);
  // Stock comes into being with its first movement, so a SKU without one has none.
  if (items.length === 0 && beforeUuid === undefined) throw stockNotFound(sku);
  const nextPageToken = last ? toPageToken(scope, [last.movementUuid]) : "";
  return { movements: items.map(toMovementMessage), nextPageToken };
}

async function applyAdjustment(tx: Transaction, request: AdjustStockRequest, call: Call) {
  const { sku, quantity, note } = request;
  const asked = { sku, quantity, reason: fromWireReason(request.reason), note };
  const key = { adjustedBy: call.principal?.subject ?? "", adjustKey: call.idempotencyKey ?? "" };
  const made = await readAdjustment(tx, key);
  if (made) {
    checkSameAdjustment(made, asked);
    return await getStock(tx, sku);
  }
  const adjusted = await adjustStock(tx, { ...asked, ...key });
  if (!adjusted) throw quantity > 0 ? stockLimitExceeded(sku) : stockWouldBeNegative(sku);
  announceThresholds({ tx, cause: call }, [adjusted.change]);
  return { stock: toStockMessage(adjusted.stock) };
}

async function applyReservation(tx: Transaction, { orderId, lines }: ReserveStockRequest, call: Call) {
  const wanted = { orderId, reservationId: newId("reservation"), lines: mergeLines(lines) };
  const reserved = await reserve(tx, wanted);
  // Returned, not thrown: nothing was written that would have to be undone, least of all what others do in this transaction.
  if ("shortSku" in reserved) return new Refusal(outOfStock(reserved.shortSku));
  const { reservation, changes } = reserved;
  announceReserved({ tx, cause: call }, reservation);
  announceThresholds({ tx, cause: call }, changes);
  return { reservation: toReservationMessage(reservation) };
}

async function applyExtension(tx: Transaction, { orderId }: ExtendReservationRequest) {
  const reservation = await extend(tx, orderId);
  if (!reservation) throw reservationNotHeld(orderId);
  return { reservation: toReservationMessage(reservation) };
}

async function applyRelease(tx: Transaction, { orderId, reserveKey }: ReleaseStockRequest, call: Call) {
  const reservation = {
    principal: call.principal?.subject ?? "",
    method: rpcs.reserveStock,
    key: reserveKey,
  };
  // In this order: what is just being reserved holds the order's row, then its key, and is seen by the last.
  const [, , released] = await Promise.all([
    releaseAhead(tx, orderId),
    cancelCommand(tx, reservation),
    release(tx, orderId),
  ]);
  if (!released) return {};
  if (released.statusBefore === "committed") throw reservationEnded(orderId);
  if (released.statusBefore === "held") announceReleased({ tx, cause: call }, released.reservation);
  announceThresholds({ tx, cause: call }, released.changes);
  return { reservation: toReservationMessage(released.reservation) };
}

async function applyReturn(tx: Transaction, request: ReturnStockRequest, call: Call) {
  const { orderId, reservationId } = request;
  const announcing = { tx, cause: call };
  // The order may be given up before OrderConfirmed is heard of. Selling first, as that event would, keeps the books in order.
  const { sales, changes } = await commit(tx, [{ orderId, reservationId }]);
  const sale = sales.get(orderId);
  if (!sale) throw reservationNotFound(orderId);
  if (sale.shortSkus.length > 0) throw reservationNotSold(orderId);
  if (sale.statusBefore !== "committed") announceCommitted(announcing, sale.reservation);
  announceThresholds(announcing, changes);
  const lines = mergeLines(request.lines);
  const back = await takeBack(tx, { orderId, key: call.idempotencyKey ?? "", lines });
  if (!back) return {};
  announceReturned(announcing, { ...sale.reservation, lines, version: back.reservationVersion });
  announceThresholds(announcing, back.changes);
  return {};
}
