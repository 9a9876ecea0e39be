import type { DescMessage } from "@bufbuild/protobuf";
import type { ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import { planted } from "#kit/failpoints/planted.ts";
import { eventName, streamName, streamSubjects } from "#kit/nats/event-names.ts";
import { ensureConsumer, ensureStream, type Nats } from "#kit/nats/nats.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import { applyBatch, applyOne } from "./apply.ts";
import { type ConsumersByType, type Delivery, toDelivery } from "./delivery.ts";
import type { Consumer } from "./inbox.ts";
import { deleteForgotten } from "./statements.ts";

/** What consuming needs. */
export interface ConsumeOptions {
  readonly service: string;
  readonly consumers: readonly Consumer[];
  readonly prefix: string;
  readonly db: Database;
  readonly nats: Nats;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Events applied in one transaction at most. */
const batchSize = 100;
/** Events fetched ahead at most; what waits here is in memory. */
const maxBuffered = 400;
const heartbeatMs = 5_000;
/** A handler that fails is tried again after this long, doubling, at most `maxRetryMs`. */
const baseRetryMs = 200;
const maxRetryMs = 30_000;
const measureMs = 5_000;

/** Consumes all streams that the reactions need, until the signal aborts. Never rejects. */
export async function runConsumers(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const loops = groupByStream(options).map((group) => runStream(options, group, signal));
  await Promise.all([...loops, forgetOldEvents(options, signal)]);
}

interface StreamGroup {
  readonly stream: string;
  readonly subjects: string;
  readonly durable: string;
  readonly filter: string;
  readonly byType: ConsumersByType;
}

/** One durable consumer per stream: server 2.9 knows one filter per consumer, so several types mean the whole stream. */
function groupByStream({ consumers, prefix, service }: ConsumeOptions): StreamGroup[] {
  const groups = Map.groupBy(consumers, ({ event }) => streamName(event.file, prefix));
  return [...groups].map(([stream, members]) => {
    const subjects = streamSubjects(firstOf(members).event.file, prefix);
    const names = members.map((consumer) => ({
      consumer,
      name: eventName(consumer.event as DescMessage, prefix),
    }));
    return {
      stream,
      subjects,
      durable: `${service}_${stream}`,
      filter: names.length === 1 ? firstOf(names).name.subject : subjects,
      byType: new Map(names.map((entry) => [entry.name.type, entry])),
    };
  });
}

function firstOf<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined) throw new Error("empty group");
  return first;
}

async function runStream(options: ConsumeOptions, group: StreamGroup, signal: AbortSignal) {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await consumeUntilStalled(options, group, signal);
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
async function consumeUntilStalled(options: ConsumeOptions, group: StreamGroup, signal: AbortSignal) {
  await ensureStream(options.nats, { name: group.stream, subjects: group.subjects });
  const consumer = await ensureConsumer(options.nats, { ...group, name: group.durable });
  const messages = await consumer.consume({ max_messages: maxBuffered, idle_heartbeat: heartbeatMs });
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop, { once: true });
  // The signal may have come while the consumer was being made.
  if (signal.aborted) stop();
  const measuring = measureLag(options, group, consumer);
  void stopWhenStalled(messages);
  try {
    await drain(options, group, messages);
  } finally {
    signal.removeEventListener("abort", stop);
    messages.stop();
    measuring.stop();
  }
}

async function stopWhenStalled(messages: ConsumerMessages) {
  for await (const status of messages.status()) {
    const isLost = status.type === "stream_not_found" || status.type === "consumer_not_found";
    if (isLost || (status.type === "heartbeats_missed" && status.count >= 2)) messages.stop();
  }
}

/** Gathers what has arrived while the last batch was being applied, and applies it together. */
async function drain(options: ConsumeOptions, group: StreamGroup, messages: ConsumerMessages) {
  const waiting: JsMsg[] = [];
  let applying: Promise<void> | undefined;
  const applyWaiting = async () => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, batchSize);
      await handleBatch(options, group, batch);
    }
    applying = undefined;
  };
  for await (const message of messages) {
    waiting.push(message);
    applying ??= Promise.resolve().then(applyWaiting);
    if (waiting.length >= maxBuffered) await applying;
  }
  // Left alone, what was fetched and not begun would be offered to another replica only after `ackWaitMs`.
  for (const message of waiting.splice(0)) message.nak();
  await applying;
}

/** Never rejects: what cannot be applied is handed back to the server with a delay. */
async function handleBatch(options: ConsumeOptions, group: StreamGroup, batch: readonly JsMsg[]) {
  const deliveries = batch.flatMap((message) => decode(options, group, message));
  if (deliveries.length === 0) return;
  if (planted("ack-before-commit")) for (const { message } of deliveries) message.ack();
  try {
    await applyBatch(options.db, group.durable, deliveries);
    for (const { message } of deliveries) message.ack();
  } catch (error) {
    if (deliveries.length === 1) handBack(options, group, deliveries[0]?.message, error);
    else await applyEach(options, group, deliveries);
  }
}

async function applyEach(options: ConsumeOptions, group: StreamGroup, deliveries: readonly Delivery[]) {
  for (const delivery of deliveries) {
    try {
      await applyOne(options.db, group.durable, delivery);
      delivery.message.ack();
    } catch (error) {
      handBack(options, group, delivery.message, error);
    }
  }
}

function decode(options: ConsumeOptions, group: StreamGroup, message: JsMsg): Delivery[] {
  try {
    const delivery = toDelivery(message, group.byType);
    if (delivery) return [delivery];
    message.ack();
  } catch (error) {
    handBack(options, group, message, error);
  }
  return [];
}

function handBack({ log }: ConsumeOptions, group: StreamGroup, message: JsMsg | undefined, error: unknown) {
  if (!message) return;
  const deliveries = message.info.deliveryCount;
  const longestMs = Math.min(maxRetryMs, baseRetryMs * 2 ** Math.min(deliveries, 10));
  // Whole milliseconds: the server takes a delay of part of a nanosecond for none at all.
  const waitMs = Math.round(longestMs * (0.5 + Math.random() / 2));
  log.warn(
    { err: error, consumer: group.durable, subject: message.subject, deliveries },
    "an event was handed back",
  );
  message.nak(planted("nak-without-delay") ? 0 : waitMs);
}

function measureLag(
  { metrics, log }: ConsumeOptions,
  { durable }: StreamGroup,
  consumer: { info(): Promise<{ num_pending: number; num_ack_pending: number }> },
) {
  const measure = () =>
    void consumer.info().then(
      (info) => metrics.consumerPending(durable).set(info.num_pending + info.num_ack_pending),
      (error: unknown) => log.debug({ err: error, consumer: durable }, "the consumer could not be measured"),
    );
  measure();
  const timer = setInterval(measure, measureMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

const forgetEveryMs = 60 * 60 * 1_000;

async function forgetOldEvents({ db, log }: ConsumeOptions, signal: AbortSignal) {
  while (!signal.aborted) {
    await db
      .query(deleteForgotten)
      .catch((error: unknown) => log.debug({ err: error }, "old inbox rows stay"));
    await delay(forgetEveryMs, signal).catch(() => {});
  }
}
