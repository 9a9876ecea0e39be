import { type ConsumerInfo, DeliverPolicy } from "@nats-io/jetstream";
import { delay } from "#kit/time/time.ts";
import { uuidShape } from "./delivery.ts";
import { type ExhaustedOptions, setAsideExhausted } from "./exhausted.ts";
import type { ConsumerGroup } from "./group.ts";
import type { InboxLimits } from "./limits.ts";
import { beginSweep, noteSweep, selectUnsettled } from "./sweep-statements.ts";

/** Events whose headers are looked at together. */
const batchSize = 500;
/** Between batches, so that a sweep takes nothing from those who are being served. */
const pauseMs = 50;
/** What one round looks at; what is left is the next one's. */
const mostPerRound = 50_000;
const fetchWithinMs = 5_000;

/**
 * Finds the events that the server has stopped offering though its word of it was lost, and sets them aside: of all that was
 * delivered, each event must have had its effect, wait for another, or be a dead letter. Goes on until the signal aborts.
 * Never rejects.
 */
export async function runSweeps(
  options: ExhaustedOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
): Promise<void> {
  const { log } = options;
  while (!signal.aborted) {
    await delay(limits.sweepEveryMs, signal).catch(() => {});
    if (signal.aborted) return;
    await sweep(options, group, limits, signal).catch((error: unknown) =>
      log.warn({ err: error, consumer: group.durable }, "lost deliveries were not looked for"),
    );
  }
}

interface Round {
  readonly swept: bigint;
  readonly target: bigint | null;
  readonly rounds: number;
  readonly server: string;
}

async function sweep(
  options: ExhaustedOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
) {
  const { db, nats } = options;
  const { stream, durable } = group;
  const [round] = await db.query<Round>(beginSweep, [durable, limits.sweepEveryMs]);
  if (!round) return;
  const info = await nats.manager.consumers.info(stream, durable);
  const server = nats.connection.info?.server_id ?? "";
  const delivered = info.delivered.stream_seq;
  // A stream that was made anew counts from 1 again.
  const swept = Number(round.swept) > delivered ? 0 : Number(round.swept);
  const target = Math.min(Number(round.target ?? delivered), delivered);
  if (!isSettled(info, target) && round.rounds < patience(limits)) {
    await db.query(noteSweep, [durable, swept, target, round.rounds, round.server]);
    return;
  }
  // While the server has offered nothing twice, it has stopped offering nothing.
  const isClean = info.num_redelivered === 0 && round.server === server;
  const reached = isClean ? target : await look(options, group, limits, { swept, target, signal });
  const next = reached < target ? target : delivered;
  await db.query(noteSweep, [durable, reached, next, reached < target ? round.rounds : 0, server]);
}

const isSettled = ({ num_ack_pending, ack_floor }: ConsumerInfo, target: number) =>
  num_ack_pending === 0 || ack_floor.stream_seq >= target;

/**
 * An event behind one that is still under way counts as settled after so many rounds: by then the server has offered it as often as
 * it does. Rounds are counted, not time, since while the database is away nothing can be settled.
 */
const patience = ({ maxDeliver, ackWaitMs, maxRetryMs, sweepEveryMs }: InboxLimits) =>
  1 + Math.ceil((maxDeliver * Math.max(ackWaitMs, maxRetryMs)) / sweepEveryMs);

interface Range {
  /** Looked at before. */
  readonly swept: number;
  /** The last to look at. */
  readonly target: number;
  readonly signal: AbortSignal;
}

/** Looks at what the group hears between two sequences, and returns how far it came. */
async function look(
  options: ExhaustedOptions,
  group: ConsumerGroup,
  { maxDeliver }: InboxLimits,
  { swept, target, signal }: Range,
): Promise<number> {
  let reached = swept;
  for (let looked = 0; reached < target && looked < mostPerRound && !signal.aborted; looked += batchSize) {
    const { heard, last } = await readHeard(options, group, reached, target);
    for (const sequence of await findUnsettled(options, group, heard))
      await setAsideExhausted(options, group, sequence, maxDeliver);
    reached = last;
    await delay(pauseMs, signal).catch(() => {});
  }
  return reached;
}

interface Heard {
  readonly sequence: number;
  readonly eventId: string;
}

/** The next events of the group's business; `last` is the sequence up to which they are all of it. */
async function readHeard(
  { nats }: ExhaustedOptions,
  { stream, filter, byType, ordered }: ConsumerGroup,
  after: number,
  target: number,
): Promise<{ readonly heard: readonly Heard[]; readonly last: number }> {
  const reader = await nats.jetstream.consumers.get(stream, {
    filter_subjects: filter,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: after + 1,
    headers_only: true,
    inactive_threshold: 10_000,
  });
  try {
    const heard: Heard[] = [];
    if ((await reader.info()).num_pending === 0) return { heard, last: target };
    for await (const message of await reader.fetch({ max_messages: batchSize, expires: fetchWithinMs })) {
      const { streamSequence: sequence, pending } = message.info;
      if (sequence > target) return { heard, last: target };
      if (ordered || byType.has(message.headers?.get("ce-type") ?? ""))
        heard.push({ sequence, eventId: message.headers?.get("ce-id") ?? "" });
      if (pending === 0) return { heard, last: target };
      if (heard.length === batchSize || sequence === target) return { heard, last: sequence };
      after = sequence;
    }
    return { heard, last: after };
  } finally {
    await reader.delete();
  }
}

async function findUnsettled(
  { db }: ExhaustedOptions,
  { durable }: ConsumerGroup,
  heard: readonly Heard[],
): Promise<number[]> {
  const readable = heard.filter(({ eventId }) => uuidShape.test(eventId));
  if (readable.length === 0) return [];
  const rows = await db.query<{ event_id: string }>(selectUnsettled, [
    durable,
    readable.map(({ eventId }) => eventId),
  ]);
  const unsettled = new Set(rows.map((row) => row.event_id));
  return readable.filter(({ eventId }) => unsettled.has(eventId)).map(({ sequence }) => sequence);
}
