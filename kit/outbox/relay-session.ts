import type { Database, Session } from "#kit/postgres/postgres.ts";
import { delay } from "#kit/time/time.ts";
import { keepAlive, prepareRelaySession, tryRelayLock } from "./statements.ts";

/** A waiting relay asks for the lock this often: after a SIGKILL of the holder events flow again this much later at most. */
export const lockRetryMs = 500;
/**
 * The server ends a holder that has been silent for so long, as a stopped process or a lost machine is. With `lockRetryMs` this is
 * the time to takeover; below it a busy event loop would lose the lock for nothing.
 */
export const silentHolderMs = 3_000;
/** A holder that waits for NATS has nothing else to say to its database. */
const keepAliveMs = 750;

/** A session that holds the relay lock of its database, for as long as it lasts. */
export interface RelaySession extends Session, AsyncDisposable {}

/**
 * Opens a session and waits until it holds the lock; undefined when the signal aborts first. What the session writes is
 * fenced: whoever takes over has the lock only because this session, with all it might still say, has ended.
 */
export async function openRelaySession(db: Database, signal: AbortSignal): Promise<RelaySession | undefined> {
  const session = await db.session();
  try {
    await session.query(prepareRelaySession, [String(silentHolderMs)]);
    while (!signal.aborted && !(await holdsLock(session))) await delay(lockRetryMs, signal).catch(() => {});
  } catch (error) {
    await session.close();
    throw error;
  }
  const pulse = keepSessionAlive(session);
  const end = async () => {
    clearInterval(pulse);
    await session.close();
  };
  if (!signal.aborted) return { ...session, close: end, [Symbol.asyncDispose]: end };
  await end();
  return undefined;
}

async function holdsLock(session: Session) {
  const [row] = await session.query<{ held: boolean }>(tryRelayLock);
  return row?.held === true;
}

function keepSessionAlive(session: Session) {
  let asking = false;
  return setInterval(() => {
    if (asking || session.lost.aborted) return;
    asking = true;
    // A session that is lost says so by `lost`.
    const answered = session.query(keepAlive).catch(() => {});
    void answered.then(() => {
      asking = false;
    });
  }, keepAliveMs);
}
