// Whether the shop has come to rest: nothing waits to be published, applied or driven on.

import { pause } from "../pause.ts";
import { withDatabase } from "../sql.ts";
import { eventStreams, withStreams } from "../streams.ts";
import type { Access } from "./access.ts";

/** How the shop came to rest. */
export interface Rest {
  /** What still moved at the end of the time, in words; empty where all is quiet. */
  readonly restless: readonly string[];
  readonly tookMs: number;
}

/** Milliseconds since some moment, without those in which nothing ran. */
export type Clock = () => number;

function stopwatch(clock: Clock): () => number {
  const startedAtMs = clock();
  return () => clock() - startedAtMs;
}

const pollMs = 250;

/** Waits until nothing moves any more, `withinMs` at most by the clock. */
export async function waitForRest(access: Access, withinMs: number, clock: Clock): Promise<Rest> {
  const elapsedMs = stopwatch(clock);
  for (;;) {
    const restless = await findRestless(access).catch((error: Error) => [
      `cannot be asked: ${error.message}`,
    ]);
    if (restless.length === 0 || elapsedMs() > withinMs) return { restless, tookMs: elapsedMs() };
    await pause(pollMs);
  }
}

/** For each saga that is under way now: how long until it has ended, in milliseconds; `withinMs` for those that do not. */
export async function timeSagas(access: Access, withinMs: number, clock: Clock): Promise<number[]> {
  const elapsedMs = stopwatch(clock);
  const tookMs: number[] = [];
  let left = await sagasUnderWay(access);
  while (left.size > 0 && elapsedMs() < withinMs) {
    await pause(pollMs);
    const now = await sagasUnderWay(access).catch(() => left);
    tookMs.push(...[...left].filter((saga) => !now.has(saga)).map(elapsedMs));
    left = left.intersection(now);
  }
  return [...tookMs, ...[...left].map(() => withinMs)];
}

const sagasUnderWay = async ({ postgresUrl, databases }: Access): Promise<Set<string>> => {
  const ids = await Promise.all(
    databases.map((service) =>
      withDatabase(postgresUrl, service, (query) =>
        query<{ id: string }>(
          "select saga_id as id from kit.sagas where status in ('running', 'compensating')",
        ),
      ),
    ),
  );
  return new Set(ids.flat().map(({ id }) => id));
};

async function findRestless(access: Access): Promise<string[]> {
  const inDatabases = await Promise.all(access.databases.map((service) => restlessDatabase(access, service)));
  return [...inDatabases.flat(), ...(await restlessConsumers(access))];
}

async function restlessDatabase({ postgresUrl }: Access, service: string): Promise<string[]> {
  return await withDatabase(postgresUrl, service, async (query) => {
    const [row] = await query<{ unpublished: number; parked: number; sagas: number }>(
      `select (select count(*)::int from kit.outbox o, kit.relay_cursor c
                where (o.xid, o.seq) > (c.xid, c.seq) and o.seq > c.floor_seq)
              + (select count(*)::int from kit.republication) as unpublished,
              (select count(*)::int from kit.parked_events) as parked,
              (select count(*)::int from kit.sagas where status in ('running', 'compensating')) as sagas`,
    );
    const { unpublished = 0, parked = 0, sagas = 0 } = row ?? {};
    return [
      ...(unpublished > 0 ? [`${unpublished} events of ${service} are not published`] : []),
      ...(parked > 0 ? [`${parked} events wait in ${service} for earlier ones`] : []),
      ...(sagas > 0 ? [`${sagas} sagas of ${service} are under way`] : []),
    ];
  });
}

async function restlessConsumers({ natsUrl }: Access): Promise<string[]> {
  return await withStreams(natsUrl, async (streams) => {
    const found: string[] = [];
    for (const stream of await eventStreams(streams)) {
      for await (const { name, config, num_pending, num_ack_pending } of streams.manager.consumers.list(
        stream,
      )) {
        const waiting = num_pending + num_ack_pending;
        if (config.durable_name !== undefined && waiting > 0)
          found.push(`${waiting} events wait for ${name}`);
      }
    }
    return found;
  });
}
