import { headers as natsHeaders } from "@nats-io/transport-node";
import { streamOf } from "#kit/nats/event-names.ts";
import type { Nats } from "#kit/nats/nats.ts";
import type { Database, Session } from "#kit/postgres/postgres.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import { backoffMs, delay } from "#kit/time/time.ts";
import {
  commitAsynchronously,
  deletePublished,
  measureOutbox,
  moveCursor,
  selectBatch,
  selectCursor,
  tryRelayLock,
} from "./statements.ts";

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
}

/** As many events are read and published side by side at once: beyond 500 the drain rate no longer rises. */
const batchSize = 500;
/** After being woken the relay waits this long, so that one read serves the commits of many callers. */
const lingerMs = 15;
/** Safety net for a wake-up that was lost with its process. */
const pollMs = 500;
const lockRetryMs = 1_000;
const publishTimeoutMs = 5_000;
const housekeepingMs = 5_000;
const deletedAtOnce = 1_000;

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

/** Holds the relay lock with a session of its own; the lock goes when the session does. */
async function relayWhileLocked(options: RelayOptions, alarm: Alarm, signal: AbortSignal) {
  const session = await options.db.session();
  try {
    await session.query(commitAsynchronously);
    while (!signal.aborted && !(await holdsLock(session))) await delay(lockRetryMs, signal).catch(() => {});
    const cursor = await readCursor(session);
    while (!signal.aborted && !session.lost.aborted) {
      const backlog = await relayBatch(options, session, cursor);
      if (backlog === "unready") await alarm.soon();
      if (backlog === "none") await alarm.wait(signal);
    }
  } finally {
    await session.close();
  }
}

async function holdsLock(session: Session) {
  const [row] = await session.query<{ held: boolean }>(tryRelayLock);
  return row?.held === true;
}

interface Cursor {
  xid: string;
  seq: bigint;
}

async function readCursor(session: Session): Promise<Cursor> {
  const [row] = await session.query<Cursor>(selectCursor);
  if (!row) throw new Error("kit.relay_cursor is empty");
  return { ...row };
}

interface BatchRow {
  xid: string;
  seq: bigint;
  event_id: string;
  subject: string;
  headers: Record<string, string>;
  payload: Buffer;
  ready: boolean;
}

/** What is left after a batch: more to publish at once, rows whose writers' elders are still open, or nothing. */
type Backlog = "more" | "unready" | "none";

/** Publishes one batch and moves the cursor behind it. */
async function relayBatch({ nats }: RelayOptions, session: Session, cursor: Cursor): Promise<Backlog> {
  const rows = await session.query<BatchRow>(selectBatch, [cursor.xid, cursor.seq, batchSize]);
  const ready = rows.filter((row) => row.ready);
  const last = ready.at(-1);
  if (last) {
    await Promise.all(ready.map((row) => publish(nats, row)));
    await session.query(moveCursor, [last.xid, last.seq]);
    Object.assign(cursor, { xid: last.xid, seq: last.seq });
  }
  if (rows.length > ready.length) return "unready";
  return rows.length === batchSize ? "more" : "none";
}

async function publish(nats: Nats, row: BatchRow) {
  const headers = natsHeaders();
  for (const name in row.headers) headers.set(name, row.headers[name] ?? "");
  await nats.jetstream.publish(row.subject, row.payload, {
    msgID: row.event_id,
    headers,
    expect: { streamName: streamOf(row.subject) },
    timeout: publishTimeoutMs,
  });
}

/** Measures the backlog and deletes what was published long ago; both are off the relay's own path. */
async function keepHouse({ db, log, metrics }: RelayOptions, signal: AbortSignal) {
  while (!signal.aborted) {
    try {
      const [row] = await db.query<{ pending: number; oldest_age_seconds: number }>(measureOutbox);
      metrics.outboxPending.set(row?.pending ?? 0);
      metrics.outboxOldestAgeSeconds.set(row?.oldest_age_seconds ?? 0);
      await deleteOld(db, signal);
    } catch (error) {
      log.debug({ err: error }, "the outbox could not be measured");
    }
    await delay(housekeepingMs, signal).catch(() => {});
  }
}

async function deleteOld(db: Database, signal: AbortSignal) {
  let deleted = deletedAtOnce;
  while (deleted === deletedAtOnce && !signal.aborted) {
    deleted = (await db.query(deletePublished, [deletedAtOnce])).length;
  }
}

interface Alarm {
  ring(): void;
  /** Waits to be rung, or for the poll interval, then lingers. */
  wait(signal: AbortSignal): Promise<void>;
  /** Lingers only. */
  soon(): Promise<void>;
}

function createAlarm(): Alarm {
  let rung = false;
  let awaken: (() => void) | undefined;
  const linger = (signal?: AbortSignal) => delay(lingerMs, signal).catch(() => {});
  return {
    ring() {
      rung = true;
      awaken?.();
    },
    async wait(signal) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          awaken = resolve;
          delay(pollMs, signal).then(resolve, () => resolve());
        });
        awaken = undefined;
      }
      await linger(signal);
      rung = false;
    },
    soon: () => linger(),
  };
}
