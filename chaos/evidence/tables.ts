import { fromBinary } from "@bufbuild/protobuf";
import {
  OrderCancelledSchema,
  OrderPlacedSchema,
  OrderRefundedSchema,
  RefundAcceptedSchema,
  RefundRefusedSchema,
  ReturnAcceptedSchema,
} from "#gen/souk/orders/v1/events_pb.ts";
import type {
  DeadLetterRow,
  InboxRow,
  MovementRow,
  OrderEventRow,
  OrderRow,
  OutboxRow,
  PaymentRow,
  Piece,
  SagaRow,
  ShipmentRow,
  Sighting,
  StockRow,
} from "../invariants/evidence.ts";
import { type Query, withDatabase } from "../sql.ts";
import type { Access } from "./access.ts";

/** What every service's database has of the chassis. */
export async function readChassis({ postgresUrl, databases }: Access) {
  const outbox: OutboxRow[] = [];
  const inbox: InboxRow[] = [];
  const sagas: SagaRow[] = [];
  let deadLetters: DeadLetterRow[] | undefined;
  let inboxOrders = false;
  for (const service of databases) {
    await withDatabase(postgresUrl, service, async (query) => {
      outbox.push(...(await query<OutboxRow>(outboxSql, [service])));
      inbox.push(...(await query<InboxRow>(inboxSql, [service])));
      sagas.push(...(await query<SagaRow>(sagasSql, [service])));
      const letters = await readDeadLetters(query, service);
      if (letters) deadLetters = [...(deadLetters ?? []), ...letters];
      inboxOrders ||= await hasTable(query, "kit.parked_events");
    });
  }
  return { outbox, inbox, sagas, deadLetters, inboxOrders };
}

const outboxSql = `select $1::text as service, event_id as "eventId", headers->>'ce-type' as type from kit.outbox`;
const inboxSql = `select $1::text as service, consumer, event_id as "eventId" from kit.inbox`;
const sagasSql = `select $1::text as service, saga_id as "sagaId", subject_id as "subjectId", definition, status from kit.sagas`;

async function readDeadLetters(query: Query, service: string): Promise<DeadLetterRow[] | undefined> {
  if (!(await hasTable(query, "kit.dead_letters"))) return undefined;
  const rows = await query<{ letter: Record<string, unknown> }>(
    "select to_jsonb(l) - 'payload' as letter from kit.dead_letters l",
  );
  return rows.map(({ letter }) => ({
    service,
    eventId: String(letter.event_id ?? letter.dead_letter_id),
    reason: JSON.stringify(letter).slice(0, 400),
  }));
}

async function hasTable(query: Query, name: string): Promise<boolean> {
  const [found] = await query<{ exists: boolean }>("select to_regclass($1) is not null as exists", [name]);
  return found?.exists === true;
}

/** Orders and their histories. */
export const readOrders = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "orders", async (query) => {
    const orders = await query<OrderRow>(
      `select order_id as "orderId", customer_id as "customerId", status, version from order_views`,
    );
    const rows = await query<OrderEventBytes>(
      `select order_id as "orderId", version, type, payload from order_events order by order_id, version`,
    );
    return { orders, orderEvents: rows.map(toOrderEvent) };
  });

interface OrderEventBytes extends Pick<OrderEventRow, "orderId" | "version" | "type"> {
  readonly payload: Buffer;
}

const toOrderEvent = ({ payload, ...row }: OrderEventBytes): OrderEventRow => ({
  ...row,
  ...detailsOf(row.type, payload),
});

type EventDetails = Pick<OrderEventRow, "placed" | "reason" | "claim" | "claimId">;

function detailsOf(type: string, payload: Buffer): EventDetails {
  switch (type) {
    case "placed": {
      const { total, lines } = fromBinary(OrderPlacedSchema, payload);
      const currencyCode = total?.currencyCode ?? "";
      return { placed: { currencyCode, totalMinor: total?.amountMinor ?? 0n, lines: lines.map(toPiece) } };
    }
    case "cancelled":
      return { reason: fromBinary(OrderCancelledSchema, payload).cancelReason };
    case "returnAccepted": {
      const { returnId, amount, lines, unsellable } = fromBinary(ReturnAcceptedSchema, payload);
      const taken = lines.map(toPiece);
      return { claim: { claimId: returnId, amountMinor: amount?.amountMinor ?? 0n, taken, unsellable } };
    }
    case "refundAccepted": {
      const { refundId, amount } = fromBinary(RefundAcceptedSchema, payload);
      const amountMinor = amount?.amountMinor ?? 0n;
      return { claim: { claimId: refundId, amountMinor, taken: [], unsellable: false } };
    }
    case "refunded":
      return { claimId: fromBinary(OrderRefundedSchema, payload).refundId };
    case "refundRefused":
      return { claimId: fromBinary(RefundRefusedSchema, payload).refundId };
    default:
      return {};
  }
}

const toPiece = ({ sku, quantity }: Piece): Piece => ({ sku, quantity });

/** Payments that were asked for; marks of voids that came first are no payments. */
export const readPayments = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "payments", (query) =>
    query<PaymentRow>(
      `select payment_id as "paymentId", order_id as "orderId", status, amount_minor as "amountMinor",
              currency_code as "currencyCode", coalesce(processor_reference, '') as reference,
              refunded_minor as "refundedMinor"
         from payments where amount_minor is not null`,
    ),
  );

export const readShipments = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "shipping", (query) =>
    query<ShipmentRow>(
      `select order_id as "orderId", status, coalesce(carrier_reference, '') as reference from shipments`,
    ),
  );

/** Stock and how it came about. */
export const readInventory = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "inventory", async (query) => ({
    stock: await query<StockRow>(stockSql),
    movements: await query<MovementRow>(
      `select sku, quantity, reason, coalesce(order_id, '') as "orderId" from movements`,
    ),
  }));

const stockSql = `select sku, on_hand as "onHand", reserved from stock`;

/** Stock alone, for samples while a run is on. */
export const readStock = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "inventory", (query) => query<StockRow>(stockSql));

/** What the witness saw, in the order of its running number. */
export const readSightings = ({ postgresUrl }: Access) =>
  withDatabase(postgresUrl, "witness", (query) =>
    query<Sighting>(
      `select event_id as "eventId", type, aggregate_id as "aggregateId", aggregate_version as version, deliveries
         from sightings order by sighting`,
    ),
  );
