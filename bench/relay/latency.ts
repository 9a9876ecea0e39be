// How long a committed event takes to reach the broker, while events are committed at a steady rate, one per transaction.

import { setTimeout as delay } from "node:timers/promises";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { streamName, streamSubjects } from "#kit/nats/event-names.ts";
import { ensureStream } from "#kit/nats/nats.ts";
import { announce, openOutbox } from "#kit/outbox/outbox.ts";
import { createRelay, type RelayOptions } from "#kit/outbox/relay.ts";

/** Milliseconds from COMMIT's answer to the arrival at a subscriber. */
export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly events: number;
}

const prefix = "latency";
const tickMs = 10;
const warmUpMs = 2_000;
const arrivesWithinMs = 10_000;

/** Commits `perSecond` events a second for `seconds`, after a warm-up, with a relay running beside. */
export async function measureLatency(
  options: RelayOptions,
  perSecond: number,
  seconds: number,
): Promise<Latency> {
  const { db, nats } = options;
  const file = StockLowSchema.file;
  await ensureStream(nats, { name: streamName(file, prefix), subjects: streamSubjects(file, prefix) });
  const relay = createRelay(options);
  openOutbox(db, { source: "bench", prefix, onCommitted: relay.wake });
  const stop = new AbortController();
  const relaying = relay.run(stop.signal);
  const times = followTimes(options);
  const commit = async (sku: string) => {
    const about = { aggregateVersion: 1, correlationId: sku };
    await db.transaction(async (tx) => announce(tx, StockLowSchema, { sku, available: 1 }, about));
    times.committed(sku);
  };
  await commitSteadily(perSecond, warmUpMs / 1_000, () => commit(`warm-up ${crypto.randomUUID()}`));
  await commitSteadily(perSecond, seconds, () => commit(crypto.randomUUID()));
  const latencies = await times.all();
  stop.abort();
  await relaying;
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99), events: latencies.length };
}

/** Starts as many as are due at each tick, so that a slow answer does not lower the rate. */
async function commitSteadily(perSecond: number, seconds: number, commit: () => Promise<void>) {
  const startedAt = performance.now();
  const running: Promise<void>[] = [];
  while (running.length < perSecond * seconds) {
    const due = Math.min(perSecond * seconds, ((performance.now() - startedAt) / 1_000) * perSecond);
    while (running.length < due) running.push(commit());
    await delay(tickMs);
  }
  await Promise.all(running);
}

function followTimes({ nats }: RelayOptions) {
  const [committedAt, arrivedAt] = [new Map<string, number>(), new Map<string, number>()];
  nats.connection.subscribe(streamSubjects(StockLowSchema.file, prefix), {
    callback: (_error, message) =>
      void arrivedAt.set(message.headers?.get("ce-subject") ?? "", performance.now()),
  });
  return {
    committed: (sku: string) => void committedAt.set(sku, performance.now()),
    async all() {
      const deadline = performance.now() + arrivesWithinMs;
      while (arrivedAt.size < committedAt.size) {
        if (performance.now() > deadline) throw new Error("events are missing");
        await delay(tickMs);
      }
      const measured = [...committedAt].filter(([sku]) => !sku.startsWith("warm-up"));
      // The relay may read a row before its writer has heard of the commit.
      return measured.map(([sku, at]) => Math.max(0, (arrivedAt.get(sku) ?? 0) - at)).sort((a, b) => a - b);
    },
  };
}
