import type { ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import { ensureConsumer, ensureStream, type Nats } from "#kit/nats/nats.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import { runExhausted } from "./exhausted.ts";
import { type ConsumerGroup, groupByStream } from "./group.ts";
import { handleMessages } from "./handle.ts";
import type { Consumer } from "./inbox.ts";
import { defaultLimits, type InboxLimits } from "./limits.ts";
import { measureGroup } from "./measure.ts";
import { runReleases } from "./release.ts";
import { deleteForgotten, deleteOldAttempts, deleteOldPositions } from "./statements.ts";
import { stopTaking, stopWhenStalled } from "./stop.ts";
import { runSweeps } from "./sweep.ts";

/** What consuming needs. */
export interface ConsumeOptions {
  readonly service: string;
  readonly consumers: readonly Consumer[];
  readonly prefix: string;
  readonly db: Database;
  readonly nats: Nats;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Where they differ from the defaults of `limits.ts`. */
  readonly limits?: Partial<InboxLimits>;
}

/** Events applied in one transaction at most. */
const batchSize = 100;
/** Events fetched ahead at most; what waits here is in memory. */
const maxBuffered = 400;
const heartbeatMs = 5_000;

/** Consumes all streams that the reactions need, until the signal aborts. Never rejects. */
export async function runConsumers(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const limits = { ...defaultLimits, ...options.limits };
  const loops = groupByStream(options).flatMap((group) => [
    runStream(options, group, limits, signal),
    runExhausted(options, group, signal),
    runSweeps(options, group, limits, signal),
    ...(group.ordered ? [runReleases(options, group, limits, signal)] : []),
  ]);
  await Promise.all([...loops, forgetOldEvents(options, signal)]);
}

async function runStream(
  options: ConsumeOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
) {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await consumeUntilStalled(options, group, limits, signal);
      attempt = 0;
    } catch (error) {
      if (!signal.aborted) options.log.warn({ err: error, consumer: group.durable }, "consuming paused");
    }
    await delay(backoffMs(attempt, { baseMs: 50, maxMs: 2_000 }), signal).catch(() => {});
  }
}

/**
 * Returns when the server has missed two heartbeats in a row, or has lost stream or consumer, for which the iterator itself would
 * wait without end: it is then stopped, and all that is missing is made anew.
 */
async function consumeUntilStalled(
  options: ConsumeOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
) {
  const { nats } = options;
  const { ackWaitMs, maxDeliver } = limits;
  await ensureStream(nats, { name: group.stream, subjects: group.subjects });
  const consumer = await ensureConsumer(nats, { ...group, name: group.durable, ackWaitMs, maxDeliver });
  const messages = await consumer.consume({ max_messages: maxBuffered, idle_heartbeat: heartbeatMs });
  const stop = () => void stopTaking(messages);
  signal.addEventListener("abort", stop, { once: true });
  // The signal may have come while the consumer was being made.
  if (signal.aborted) stop();
  const measuring = measureGroup(options, group, consumer);
  void stopWhenStalled(messages);
  try {
    await drain({ ...options, group, limits, signal }, messages);
  } finally {
    signal.removeEventListener("abort", stop);
    messages.stop();
    measuring.stop();
  }
}

type Draining = ConsumeOptions & {
  readonly group: ConsumerGroup;
  readonly limits: InboxLimits;
  readonly signal: AbortSignal;
};

/** Gathers what has arrived while the last batch was being applied, and applies it together. */
async function drain(draining: Draining, messages: ConsumerMessages) {
  const { signal } = draining;
  const waiting: JsMsg[] = [];
  let applying: Promise<void> | undefined;
  let batch: JsMsg[] = [];
  const held = () => [...batch, ...waiting];
  const applyWaiting = async () => {
    while (waiting.length > 0 && !signal.aborted) {
      batch = waiting.splice(0, batchSize);
      await handleMessages({ ...draining, held }, batch);
    }
    applying = undefined;
  };
  for await (const message of messages) {
    waiting.push(message);
    if (signal.aborted) handBack(waiting);
    else applying ??= Promise.resolve().then(applyWaiting);
    if (waiting.length >= maxBuffered) await applying;
  }
  handBack(waiting);
  await applying;
}

/** Left alone, what was fetched and not begun would be offered to another replica only after `ackWaitMs`. */
function handBack(waiting: JsMsg[]) {
  for (const message of waiting.splice(0)) message.nak();
}

const forgetEveryMs = 60 * 60 * 1_000;

async function forgetOldEvents({ db, log }: ConsumeOptions, signal: AbortSignal) {
  while (!signal.aborted) {
    for (const forget of [deleteForgotten, deleteOldPositions, deleteOldAttempts]) {
      await db.query(forget).catch((error: unknown) => log.debug({ err: error }, "old inbox rows stay"));
    }
    await delay(forgetEveryMs, signal).catch(() => {});
  }
}
