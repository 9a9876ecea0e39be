import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { planted } from "#kit/failpoints/planted.ts";
import type { Nats } from "#kit/nats/nats.ts";
import type { Database, Session } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import { type Alarm, createAlarm } from "./alarm.ts";
import { type Cursor, readCursor } from "./cursor.ts";
import { keepHouse } from "./housekeeping.ts";
import { createPublisher, type Publisher, type StoredEvent } from "./publish.ts";
import { lockRetryMs, openRelaySession } from "./relay-session.ts";
import { createRepublisher } from "./republish.ts";
import { moveCursor, selectBatch } from "./statements.ts";

/** The loop that carries a database's events to the stream. */
export interface Relay {
  /** Tells the relay that events were committed. Cheap, and safe at any time. */
  wake(): void;
  /** Publishes until the signal aborts. Never rejects: faults are logged, and tried again after a pause. */
  run(signal: AbortSignal): Promise<void>;
}

/** What the relay works with. */
export interface RelayOptions {
  readonly db: Database;
  readonly nats: Nats;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How often the backlog is measured and old parts are emptied; 5,000 ms by default. */
  readonly housekeepingEveryMs?: number;
}

/** As many events are read and published side by side at once: beyond 500 the drain rate no longer rises. */
const batchSize = 500;

/** Makes the relay of one service. */
export function createRelay(options: RelayOptions): Relay {
  const alarm = createAlarm();
  return { wake: alarm.ring, run: (signal) => runRelay(options, alarm, signal) };
}

async function runRelay(options: RelayOptions, alarm: Alarm, signal: AbortSignal) {
  const housekeeping = keepHouse(options, signal);
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await relayWhileLocked(options, alarm, signal);
      attempt = 0;
    } catch (error) {
      if (!signal.aborted) options.log.warn({ err: error }, "the outbox relay paused");
    }
    await delay(backoffMs(attempt, { baseMs: 50, maxMs: lockRetryMs }), signal).catch(() => {});
  }
  await housekeeping;
}

async function relayWhileLocked(options: RelayOptions, alarm: Alarm, signal: AbortSignal) {
  const { db, nats, log } = options;
  await using session = await openRelaySession(db, signal);
  if (!session) return;
  const cursor = await readCursor(db, session, log);
  using publisher = createPublisher(nats);
  const republisher = createRepublisher({ publisher, session, log });
  while (!signal.aborted && !session.lost.aborted) {
    const backlog = await relayBatch(publisher, session, cursor);
    const again = await republisher.step();
    if (backlog === "more" || again) continue;
    if (backlog === "unready") await alarm.soon();
    else await alarm.wait(signal);
  }
}

interface BatchRow extends StoredEvent {
  readonly xid: string;
  readonly seq: bigint;
  readonly ready: boolean;
}

/** What is left after a batch: more to publish at once, rows whose writers' elders are still open, or nothing. */
type Backlog = "more" | "unready" | "none";

/** Publishes one batch and moves the cursor behind it. */
async function relayBatch(publisher: Publisher, session: Session, cursor: Cursor): Promise<Backlog> {
  const from = [cursor.xid, cursor.seq, cursor.floorSeq, batchSize];
  const rows = await session.query<BatchRow>(selectBatch, from);
  const ready = rows.filter((row) => row.ready || planted("naive-cursor"));
  const last = ready.at(-1);
  if (last) {
    if (armed) await reach("relay:selected");
    await publisher.publishAll(ready);
    if (armed) await reach("relay:published");
    await session.query(moveCursor, [last.xid, last.seq, cursor.systemId]);
    Object.assign(cursor, { xid: last.xid, seq: last.seq });
    if (armed) await reach("relay:marked");
  }
  if (rows.length > ready.length) return "unready";
  return rows.length === batchSize ? "more" : "none";
}
