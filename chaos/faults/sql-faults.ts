import { pause } from "../pause.ts";
import { withDatabase } from "../sql.ts";

/** Ends backends of the services at random; tells how many there were to end. */
export async function terminateBackends(postgresUrl: string, count: number): Promise<number> {
  const rows = await withDatabase(postgresUrl, "postgres", (query) =>
    query<{ ended: boolean }>(
      `select pg_terminate_backend(pid) as ended
         from (select pid from pg_stat_activity where usename like '%\\_app' order by random() limit $1) backends`,
      [count],
    ),
  );
  return rows.filter(({ ended }) => ended).length;
}

/** A lock that is not had soon holds up everybody behind it. */
const lockWithinMs = 500;
const attempts = 20;

/**
 * Has a service's database refuse to remember any event for a while, though it answers: whatever is applied fails at once, and
 * again with each delivery.
 */
export async function refuseWrites(
  postgresUrl: string,
  { service, forMs }: { readonly service: string; readonly forMs: number },
  signal: AbortSignal,
): Promise<number> {
  await alterInbox(postgresUrl, service, "add constraint chaos_refuses check (false) not valid");
  try {
    await pause(forMs, signal);
  } finally {
    await alterInbox(postgresUrl, service, "drop constraint chaos_refuses");
  }
  return 1;
}

async function alterInbox(postgresUrl: string, service: string, change: string): Promise<void> {
  await withDatabase(postgresUrl, service, async (query) => {
    await query(`set lock_timeout = ${lockWithinMs}`);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await query(`alter table kit.inbox ${change}`);
      } catch (error) {
        if (attempt === attempts) throw error;
        await pause(100);
      }
    }
  });
}

/** Shifts the `souk_now()` of a service's database, in addition to earlier shifts. */
export async function shiftClock(postgresUrl: string, service: string, ms: number): Promise<number> {
  await withDatabase(postgresUrl, service, (query) =>
    query("update kit.clock set offset_ms = offset_ms + $1", [Math.round(ms)]),
  );
  return 1;
}
