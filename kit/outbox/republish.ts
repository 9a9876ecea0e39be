import type { Queryable, Session, Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { pollMs } from "./alarm.ts";
import type { Publisher, StoredEvent } from "./publish.ts";
import {
  countSince,
  endRepublication,
  moveRepublication,
  requestRepublication,
  selectRepublication,
} from "./statements.ts";

const batchSize = 500;
/** Counting stops here: whoever waits for the number learns enough. */
const countedAtMost = 1_000_000;

/**
 * Has all events since a time published again, by the relay, beside the new ones. The request is a row: a relay that dies goes on
 * where it was. Returns how many there are, a million at most.
 */
export async function republishSince(tx: Transaction, since: Date): Promise<bigint> {
  await tx.query(requestRepublication, [since]);
  return await countEvents(tx, since);
}

async function countEvents(source: Queryable, since: Date): Promise<bigint> {
  const [row] = await source.query<{ events: bigint }>(countSince, [since, countedAtMost]);
  return row?.events ?? 0n;
}

/** Works on the open republication, if there is one. */
export interface Republisher {
  /** Publishes the next batch; true while there is more. */
  step(): Promise<boolean>;
}

interface RepublicationRow extends StoredEvent {
  readonly version: bigint;
  /** Null in the one row that tells of the end. */
  readonly xid: string | null;
  readonly seq: bigint;
  readonly wanted: boolean;
}

/** Makes the part of a relay that republishes, on the relay's own session. Looks for a request twice a second. */
export function createRepublisher(parts: {
  readonly publisher: Publisher;
  readonly session: Session;
  readonly log: Logger;
}): Republisher {
  let lookAt = 0;
  let published = 0;
  return {
    async step() {
      if (performance.now() < lookAt) return false;
      const rows = await parts.session.query<RepublicationRow>(selectRepublication, [batchSize]);
      const more = await publishRows(parts, rows);
      published += rows.filter(({ wanted }) => wanted).length;
      if (more) return true;
      if (rows.length > 0) parts.log.info({ events: published }, "events were published again");
      published = 0;
      lookAt = performance.now() + pollMs;
      return false;
    },
  };
}

async function publishRows(
  { publisher, session }: { readonly publisher: Publisher; readonly session: Session },
  rows: readonly RepublicationRow[],
): Promise<boolean> {
  const [first, last] = [rows.at(0), rows.at(-1)];
  if (!first || !last) return false;
  await publisher.publishAll(rows.filter(({ wanted }) => wanted));
  if (rows.length === batchSize) {
    await session.query(moveRepublication, [last.xid, last.seq, first.version]);
    return true;
  }
  await session.query(endRepublication, [first.version]);
  return false;
}
