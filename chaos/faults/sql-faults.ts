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

/** Shifts the `souk_now()` of a service's database, in addition to earlier shifts. */
export async function shiftClock(postgresUrl: string, service: string, ms: number): Promise<number> {
  await withDatabase(postgresUrl, service, (query) =>
    query("update kit.clock set offset_ms = offset_ms + $1", [Math.round(ms)]),
  );
  return 1;
}
