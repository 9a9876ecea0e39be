/**
 * Transactional outbox: an event is published if and only if the transaction that announced it commits.
 *
 * Guarantees: at least once, in commit order of transactions as far as their ids tell, by one relay per database. The event
 * id is the message id, so the stream drops repeats within its window and the consumers' inbox drops the rest.
 */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { newUuid } from "#kit/ids/ids.ts";
import { type EventName, eventName } from "#kit/nats/event-names.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { insertEvents } from "./statements.ts";

/** What an event carries beside its message. */
export interface Announcement {
  /** The aggregate's version after the change, counted from 1: consumers order by it. */
  readonly aggregateVersion: bigint | number;
  /**
   * The version of the event announced before this one about the same aggregate, 0 for its first. Consumers keep this order. Left
   * out where nobody knows it: the event is then applied as it comes.
   */
  readonly previousVersion?: bigint | number;
  /** Ties the event to the request that led to it. */
  readonly correlationId: string;
  /** The event or command that caused this one. */
  readonly causationId?: string | undefined;
  /** W3C trace context of the announcing call. */
  readonly traceparent?: string | undefined;
}

/** An event as it is stored. */
export interface AnnouncedEvent {
  readonly eventId: string;
  readonly subject: string;
  /** JSON. */
  readonly headers: string;
  readonly payload: Uint8Array;
}

/** How a database's events are named and who is told of them. */
export interface OutboxOptions {
  /** The CloudEvents `source`: the service's name. */
  readonly source: string;
  /** Root of the subjects: `souk`. */
  readonly prefix: string;
  /** Called after each commit that left events behind, to wake the relay. Must not throw. */
  readonly onCommitted: () => void;
  /** Called with each event before its transaction ends: a planted bug, and nothing else. */
  readonly publishTooEarly?: ((event: AnnouncedEvent) => void) | undefined;
}

interface Outbox extends OutboxOptions {
  readonly buffers: WeakMap<Transaction, AnnouncedEvent[]>;
}

const outboxes = new WeakMap<object, Outbox>();

/** Gives a database its outbox; `announce` works in its transactions from then on. */
export function openOutbox(database: Database, options: OutboxOptions): void {
  outboxes.set(database, { ...options, buffers: new WeakMap() });
}

/**
 * Buffers an event; it is written together with COMMIT.
 * @throws Error when the message is not declared to be an event, or the database has no outbox.
 */
export function announce<D extends DescMessage>(
  tx: Transaction,
  desc: D,
  message: MessageInitShape<D>,
  about: Announcement,
): void {
  const outbox = outboxes.get(tx.database);
  if (!outbox) throw new Error("this database has no outbox");
  const row = toRow(eventName(desc, outbox.prefix), desc, message, about, outbox.source);
  outbox.publishTooEarly?.(row);
  const buffer = outbox.buffers.get(tx);
  if (buffer) buffer.push(row);
  else outbox.buffers.set(tx, openBuffer(tx, row, outbox.onCommitted));
}

function openBuffer(tx: Transaction, first: AnnouncedEvent, onCommitted: () => void): AnnouncedEvent[] {
  const rows = [first];
  tx.beforeCommit(() => ({
    statement: insertEvents,
    values: [
      rows.map((row) => row.eventId),
      rows.map((row) => row.subject),
      rows.map((row) => row.headers),
      rows.map((row) => row.payload),
    ],
  }));
  tx.afterCommit(onCommitted);
  return rows;
}

/** CloudEvents attributes as headers (CloudEvents 1.0, NATS protocol binding 3.1.3), and what Souk adds to them. */
function toRow<D extends DescMessage>(
  name: EventName,
  desc: D,
  init: MessageInitShape<D>,
  about: Announcement,
  source: string,
): AnnouncedEvent {
  const message = create(desc, init);
  const eventId = newUuid();
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": eventId,
    "ce-source": source,
    "ce-type": name.type,
    "ce-subject": String((message as unknown as Record<string, unknown>)[name.idProperty]),
    "ce-time": new Date().toISOString(),
    "ce-dataschema": desc.file.name,
    "content-type": "application/protobuf",
    "souk-aggregate": name.aggregate,
    "souk-aggregate-version": String(about.aggregateVersion),
    ...(about.previousVersion !== undefined && { "souk-previous-version": String(about.previousVersion) }),
    "x-correlation-id": about.correlationId,
    ...(about.causationId && { "x-causation-id": about.causationId }),
    ...(about.traceparent && { traceparent: about.traceparent }),
  };
  return {
    eventId,
    subject: name.subject,
    headers: JSON.stringify(headers),
    payload: toBinary(desc, message),
  };
}
