import { isRetryable } from "#kit/errors/errors.ts";
import { EventUnreadable } from "./delivery.ts";

/** How patient consumers are. */
export interface InboxLimits {
  /** An event that fails so often is set aside: with the pauses between, after about two minutes. */
  readonly maxDeliveries: number;
  /** So often a process may die while it handles an event alone, before the event is to blame: somebody else may have killed it. */
  readonly maxDeaths: number;
  /** An event that fails is tried again after this long, doubling with each delivery, in milliseconds. */
  readonly baseRetryMs: number;
  readonly maxRetryMs: number;
  /**
   * How long the first event a consumer hears of an aggregate waits for what came before it, in milliseconds. Longer than the
   * server takes to offer an event again and again, shorter than anybody notices who starts a new consumer.
   */
  readonly adoptAfterMs: number;
  /** How long the server waits for an acknowledgement before it offers an event again, in milliseconds. */
  readonly ackWaitMs: number;
  /** How often the server offers an event at most. */
  readonly maxDeliver: number;
  /** How often events are looked for that the server has stopped offering without anybody hearing of it, in milliseconds. */
  readonly sweepEveryMs: number;
}

/** What holds where nothing else is said. */
export const defaultLimits: InboxLimits = {
  maxDeliveries: 10,
  maxDeaths: 3,
  baseRetryMs: 200,
  maxRetryMs: 30_000,
  adoptAfterMs: 300_000,
  ackWaitMs: 30_000,
  maxDeliver: 50,
  sweepEveryMs: 300_000,
};

/** Whether trying again is of no use, or was of none often enough. */
export const givesUp = ({ maxDeliveries }: InboxLimits, deliveries: number, error: unknown): boolean =>
  error instanceof EventUnreadable || !isRetryable(error) || deliveries >= maxDeliveries;

/** The pause before the next attempt, with jitter, in whole milliseconds: of a fraction the server makes none at all. */
export function retryDelayMs({ baseRetryMs, maxRetryMs }: InboxLimits, deliveries: number): number {
  const longestMs = Math.min(maxRetryMs, baseRetryMs * 2 ** Math.min(deliveries, 20));
  return Math.round(longestMs * (0.5 + Math.random() / 2));
}
