import type { Database } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { countWaiting } from "./dead-letter-statements.ts";
import type { ConsumerGroup } from "./group.ts";
import { countParked } from "./parked-statements.ts";

/** What measuring needs. */
export interface MeasureOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly metrics: Metrics;
}

interface Measurable {
  info(): Promise<{ readonly num_pending: number; readonly num_ack_pending: number }>;
}

const measureMs = 5_000;

/** Measures every 5 s how much a consumer has yet to apply, and what waits for a person or for another event. */
export function measureGroup(
  options: MeasureOptions,
  group: ConsumerGroup,
  consumer: Measurable,
): { stop(): void } {
  const measure = () =>
    void measureOnce(options, group, consumer).catch((error: unknown) =>
      options.log.debug({ err: error, consumer: group.durable }, "the consumer could not be measured"),
    );
  measure();
  const timer = setInterval(measure, measureMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

async function measureOnce(
  { db, metrics }: MeasureOptions,
  { durable }: ConsumerGroup,
  consumer: Measurable,
) {
  const info = await consumer.info();
  metrics.consumerPending(durable).set(info.num_pending + info.num_ack_pending);
  const [[letters], [parked]] = await Promise.all([
    db.query<{ waiting: number }>(countWaiting, [durable]),
    db.query<{ parked: number }>(countParked, [durable]),
  ]);
  metrics.deadLettersWaiting(durable).set(letters?.waiting ?? 0);
  metrics.parkedEvents(durable).set(parked?.parked ?? 0);
}
