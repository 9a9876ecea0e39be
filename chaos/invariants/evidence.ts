// What is known after a run, as plain rows: from the clients, the databases, the streams, and the outside world's ledgers.

import type { HistoryEntry } from "../workload/history.ts";

/** The order as its view shows it. */
export interface OrderRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly version: bigint;
}

/** So many of a product. */
export interface Piece {
  readonly sku: string;
  readonly quantity: number;
}

/** A return or a refund, as it was accepted. */
export interface Claim {
  readonly claimId: string;
  readonly amountMinor: bigint;
  /** The pieces it takes back; none of a refund. */
  readonly taken: readonly Piece[];
  /** Its pieces are not put on the shelf again. */
  readonly unsellable: boolean;
}

/** An entry of an order's history; the placed one says what was bought. */
export interface OrderEventRow {
  readonly orderId: string;
  readonly version: bigint;
  readonly type: string;
  readonly placed?:
    | {
        readonly currencyCode: string;
        readonly totalMinor: bigint;
        readonly lines: readonly Piece[];
      }
    | undefined;
  /** Why it was cancelled, where that is what happened. */
  readonly reason?: string | undefined;
  /** What was claimed, where that is what happened. */
  readonly claim?: Claim | undefined;
  /** The claim that ended. */
  readonly claimId?: string | undefined;
}

/** A line of the card processor's ledger. */
export interface ProcessorLine {
  readonly kind: string;
  readonly intent: string;
  readonly orderId: string;
  readonly amountMinor: bigint;
  readonly currencyCode: string;
}

/** A line of the carrier's ledger. */
export interface CarrierLine {
  readonly kind: string;
  readonly shipment: string;
  readonly orderId: string;
}

/** A payment as the shop has it in its books. */
export interface PaymentRow {
  readonly paymentId: string;
  readonly orderId: string;
  readonly status: string;
  readonly amountMinor: bigint;
  readonly currencyCode: string;
  readonly reference: string;
  readonly refundedMinor: bigint;
}

/** A shipment as shipping knows it. */
export interface ShipmentRow {
  readonly orderId: string;
  readonly status: string;
  readonly reference: string;
}

/** What inventory has of a SKU. */
export interface StockRow {
  readonly sku: string;
  readonly onHand: number;
  readonly reserved: number;
}

/** A change of what inventory has. */
export interface MovementRow {
  readonly sku: string;
  readonly quantity: number;
  readonly reason: string;
  readonly orderId: string;
}

/** An event as its service committed it. */
export interface OutboxRow {
  readonly service: string;
  readonly eventId: string;
  readonly type: string;
}

/** A message of a stream. */
export interface StreamEvent {
  readonly eventId: string;
  readonly type: string;
  readonly aggregateId: string;
  readonly version: bigint;
}

/** An event as the witness was given it, in the order in which that was committed. */
export interface Sighting extends StreamEvent {
  readonly deliveries: number;
}

/** An event that a consumer says it has applied. */
export interface InboxRow {
  readonly service: string;
  readonly consumer: string;
  readonly eventId: string;
}

/** A saga as its service recorded it. */
export interface SagaRow {
  readonly service: string;
  readonly sagaId: string;
  readonly subjectId: string;
  readonly definition: string;
  readonly status: string;
}

/** An event that was given up. */
export interface DeadLetterRow {
  readonly service: string;
  readonly eventId: string;
  readonly reason: string;
}

/** A count of stock taken while the run was on. */
export interface StockSample extends StockRow {
  readonly atMs: number;
}

/** Everything the invariants are judged by. */
export interface Evidence {
  readonly history: readonly HistoryEntry[];
  readonly orders: readonly OrderRow[];
  readonly orderEvents: readonly OrderEventRow[];
  readonly processor: readonly ProcessorLine[];
  readonly carrier: readonly CarrierLine[];
  readonly payments: readonly PaymentRow[];
  readonly shipments: readonly ShipmentRow[];
  /** Of the run's own goods. */
  readonly stock: readonly StockRow[];
  readonly movements: readonly MovementRow[];
  readonly stockSamples: readonly StockSample[];
  /** Pieces of each SKU at the beginning. */
  readonly pieces: ReadonlyMap<string, number>;
  readonly outbox: readonly OutboxRow[];
  readonly stream: readonly StreamEvent[];
  /** Undefined where no witness ran. */
  readonly sightings: readonly Sighting[] | undefined;
  readonly inbox: readonly InboxRow[];
  /** Whether the inbox holds back an event that comes before its elders. */
  readonly inboxOrders: boolean;
  readonly sagas: readonly SagaRow[];
  /** Undefined where the databases have no table of them. */
  readonly deadLetters: readonly DeadLetterRow[] | undefined;
  /** What has not come to rest within its time, in words. */
  readonly restless: readonly string[];
  /** Processes that ended by themselves, and lines of logs that no healthy process writes. */
  readonly ailments: readonly string[];
  /** Orders that were there before the run: a shop that ran already has some. */
  readonly earlierOrders: ReadonlySet<string>;
  /** Ids of the events that were in the streams before the run: outboxes forget theirs sooner than streams do. */
  readonly earlierEvents: ReadonlySet<string>;
}
