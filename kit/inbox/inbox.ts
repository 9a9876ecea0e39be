/**
 * Inbox: an event's effect is applied once by each consumer, however often the event is delivered.
 *
 * Guarantees: the inbox row is inserted in the transaction of the effect; the event is acknowledged after COMMIT. Events of one
 * aggregate are applied in the order of their versions, different aggregates side by side. What cannot be applied is set aside
 * as a dead letter and stops nothing but its own aggregate.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Transaction } from "#kit/postgres/postgres.ts";

/**
 * For how long a consumer remembers what it has applied: twice as long as the stream keeps an event, so that no replay outlives the
 * memory of it.
 */
export const inboxRetentionDays = 14;

/** What a consumer knows about an event beside its message. */
export interface EventContext {
  /** The same for every delivery of this event. */
  readonly eventId: string;
  /** Id of the thing that changed. */
  readonly aggregateId: string;
  /** That thing's version after the change. */
  readonly aggregateVersion: bigint;
  readonly correlationId: string;
  readonly traceparent: string | undefined;
  readonly occurredAt: Date;
  /** How often the server has offered the event, this time included. */
  readonly deliveries: number;
}

/** How a service reacts to an event. */
export interface Reaction<D extends DescMessage, Prepared = undefined> {
  /**
   * The reaction comes to the same in whatever order an aggregate's events arrive. Default false: events that claim their place
   * are then applied in it, which means hearing the whole stream, and a row per aggregate.
   */
  readonly anyOrder?: boolean;
  /** May call out; no transaction is open. Runs again with each delivery. */
  prepare?(event: MessageShape<D>, context: EventContext): Promise<Prepared>;
  /** Local; in one transaction with the inbox row. */
  apply(tx: Transaction, event: MessageShape<D>, context: EventContext, prepared: Prepared): Promise<void>;
}

/** An event and the reaction to it, with the types put aside so that different ones fit in one list. */
export interface Consumer {
  readonly event: DescMessage;
  readonly anyOrder: boolean;
  readonly prepare: ((event: unknown, context: EventContext) => Promise<unknown>) | undefined;
  readonly apply: (
    tx: Transaction,
    event: unknown,
    context: EventContext,
    prepared: unknown,
  ) => Promise<void>;
}

/** Declares the reaction to an event. */
export function on<D extends DescMessage, Prepared = undefined>(
  event: D,
  reaction: Reaction<D, Prepared>,
): Consumer {
  return {
    event,
    anyOrder: reaction.anyOrder ?? false,
    prepare: reaction.prepare as Consumer["prepare"],
    apply: reaction.apply as Consumer["apply"],
  };
}
