import type { Database, Session } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { beginAnew, lockOutbox, selectCursor } from "./statements.ts";

/** How far the relay has published. */
export interface Cursor {
  xid: string;
  seq: bigint;
  /** Rows up to here came from another server; a republication takes care of them. */
  readonly floorSeq: bigint;
  /** The cluster whose transaction ids these are. */
  readonly systemId: bigint;
}

interface CursorRow {
  xid: string;
  seq: bigint;
  floor_seq: bigint;
  system_id: bigint;
  misplaced: boolean | null;
}

/**
 * Reads the cursor. One that was restored into a cluster with other transaction ids would pass over every new event: it is
 * begun anew, and all events that are kept are published again (docs/decisions/0016-what-the-outbox-survives.md).
 */
export async function readCursor(db: Database, session: Session, log: Logger): Promise<Cursor> {
  const row = await selectRow(session);
  if (row.misplaced) {
    await db.transaction(async (tx) => {
      await tx.query(lockOutbox);
      await tx.query(beginAnew);
    });
    log.warn({ xid: row.xid }, "the outbox was restored from elsewhere: its events are published again");
    return toCursor(await selectRow(session));
  }
  return toCursor(row);
}

async function selectRow(session: Session) {
  const [row] = await session.query<CursorRow>(selectCursor);
  if (!row) throw new Error("kit.relay_cursor is empty");
  return row;
}

const toCursor = ({ xid, seq, floor_seq: floorSeq, system_id: systemId }: CursorRow): Cursor => ({
  xid,
  seq,
  floorSeq,
  systemId,
});
