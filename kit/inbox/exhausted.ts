import { type ConsumerMessages, JetStreamApiError, type JsMsg } from "@nats-io/jetstream";
import { ensureConsumer, ensureStream, type Nats } from "#kit/nats/nats.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import { HandlerDied, setAside } from "./dead-letters.ts";
import { EventUnreadable, toDelivery, uuidShape } from "./delivery.ts";
import type { ConsumerGroup } from "./group.ts";
import { type OfferedEvent, readHeaders } from "./offered.ts";
import { stopWhenStalled } from "./stop.ts";
import { selectUnsettled } from "./sweep-statements.ts";

/** What watching for exhausted deliveries needs. */
export interface ExhaustedOptions {
  readonly service: string;
  readonly db: Database;
  readonly nats: Nats;
  readonly log: Logger;
}

/**
 * The server says so once when it stops offering an event, and says it to nobody in particular: this stream listens. One for all
 * consumers of a server, since a subject belongs to one stream.
 */
const exhaustedStream = "souk_exhausted_deliveries";
const exhaustedSubjects = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES";

/**
 * Sets aside the events that the server has stopped offering, until the signal aborts. It is the way for handlers that never live
 * to set aside anything themselves. Never rejects.
 */
export async function runExhausted(
  options: ExhaustedOptions,
  group: ConsumerGroup,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await watch(options, group, signal);
      attempt = 0;
    } catch (error) {
      if (!signal.aborted)
        options.log.warn({ err: error, consumer: group.durable }, "exhausted deliveries are not watched");
    }
    await delay(backoffMs(attempt, { baseMs: 50, maxMs: 2_000 }), signal).catch(() => {});
  }
}

async function watch(options: ExhaustedOptions, group: ConsumerGroup, signal: AbortSignal) {
  await ensureStream(options.nats, { name: exhaustedStream, subjects: `${exhaustedSubjects}.>` });
  const consumer = await ensureConsumer(options.nats, {
    stream: exhaustedStream,
    name: group.durable,
    filter: `${exhaustedSubjects}.${group.stream}.${group.durable}`,
    maxDeliver: -1,
  });
  const messages: ConsumerMessages = await consumer.consume({ max_messages: 10, idle_heartbeat: 5_000 });
  const stop = () => messages.stop();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  void stopWhenStalled(messages);
  try {
    for await (const message of messages) await settle(options, group, message);
  } finally {
    signal.removeEventListener("abort", stop);
    messages.stop();
  }
}

async function settle(options: ExhaustedOptions, group: ConsumerGroup, message: JsMsg) {
  try {
    const { stream_seq: sequence, deliveries } = message.json<{ stream_seq: number; deliveries: number }>();
    await setAsideExhausted(options, group, sequence, deliveries);
    message.ack();
  } catch (error) {
    options.log.warn({ err: error, consumer: group.durable }, "an exhausted delivery could not be set aside");
    message.nak(1_000);
  }
}

/** Sets aside the event with this sequence, unless the stream has it no more, or it needs no further delivery. */
export async function setAsideExhausted(
  options: ExhaustedOptions,
  group: ConsumerGroup,
  sequence: number,
  deliveries: number,
): Promise<void> {
  const offered = await readOffered(options.nats, group.stream, sequence, deliveries);
  if (offered && concerns(group, offered)) await setAsideUnlessSettled(options, group, offered);
}

/** What nobody can read is everybody's business. */
function concerns(group: ConsumerGroup, offered: OfferedEvent): boolean {
  try {
    return toDelivery(offered, group) !== undefined;
  } catch (error) {
    if (error instanceof EventUnreadable) return true;
    throw error;
  }
}

/** The event as the stream has it; undefined where it has it no more. */
async function readOffered(
  nats: Nats,
  stream: string,
  sequence: number,
  deliveries: number,
): Promise<OfferedEvent | undefined> {
  try {
    const stored = await nats.manager.streams.getMessage(stream, { seq: sequence });
    if (!stored) return undefined;
    const { subject, data } = stored;
    return { stream, subject, headers: readHeaders(stored.header), payload: data, deliveries };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === noMessageFound) return undefined;
    throw error;
  }
}

const noMessageFound = 10037;

async function setAsideUnlessSettled(
  { service, db, log }: ExhaustedOptions,
  { durable }: ConsumerGroup,
  offered: OfferedEvent,
) {
  const eventId = offered.headers["ce-id"] ?? "";
  await db.transaction(async (tx) => {
    // An event whose acknowledgement was lost each time has had its effect, or waits for an earlier one.
    const unsettled = uuidShape.test(eventId) && (await tx.query(selectUnsettled, [durable, [eventId]]));
    if (unsettled && unsettled.length === 0) return;
    const error = new HandlerDied(
      `The server offered it ${offered.deliveries} times; nobody lived to answer.`,
    );
    const isNew = await setAside(tx, { service, durable, offered, error });
    if (isNew) tx.afterCommit(() => log.warn({ consumer: durable, eventId }, "an event was set aside"));
  });
}
