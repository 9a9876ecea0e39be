import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startRedis } from "../../../tools/stores/redis.ts";
import type { Store } from "../../../tools/stores/store.ts";
import { startGuard } from "../../../tools/stores/store-set.ts";
import { createRateLimit, type RateLimit, type Standing } from "../rate-limit.ts";

// A Redis of this file's own, since it is stopped.
let folder: string;
let guard: ReturnType<typeof startGuard>;
let store: Store;
let redis: Redis;
const open: RateLimit[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "souk-rate-limit-"));
  guard = startGuard(folder);
  store = await startRedis({
    dataDir: join(folder, "redis"),
    logPath: join(folder, "redis.log"),
    port: 0,
    log: () => undefined,
    onPid: (pid) => guard.watch("redis", pid),
  });
  redis = new Redis(store.url);
  redis.on("error", () => undefined);
});
afterEach(() => {
  for (const limit of open.splice(0)) limit.close();
});
afterAll(async () => {
  redis?.disconnect();
  await store?.stop();
  await guard?.dismiss();
  rmSync(folder, { recursive: true, force: true });
});

const log = createLogger({ service: "gateway", level: "silent" });

let callers = 0;

/** A caller nobody has counted before. */
function aCaller(): string {
  callers += 1;
  return `sub:${callers}`;
}

/** The limit as a gateway has it, but for its patience: on a busy machine Redis may take its time. One permit in 20 s is as good as none. */
function aGateway({ perSecond = 0.05, burst = 20, patienceMs = 10_000 } = {}): RateLimit {
  const rate = { perSecond, burst };
  const rates = { ordinary: rate, costly: rate, provider: rate, address: rate };
  const limit = createRateLimit({ redisUrl: store.url, rates, log, patienceMs });
  open.push(limit);
  return limit;
}

const keyOf = (caller: string) => redis.keys(`rate:ordinary:*:${caller}`);
const isCounted = (caller: string) => keyOf(caller).then((keys) => keys.length);

/** Waits until a gateway counts in Redis, and not for itself. */
async function connected(...limits: RateLimit[]) {
  for (const limit of limits) {
    await eventually(async () => {
      const caller = aCaller();
      await limit.take("ordinary", caller);
      expect(await isCounted(caller)).toBe(1);
    });
  }
}

/** Asks once; how the caller stands where that was one too many. */
async function ask(limit: RateLimit, caller: string): Promise<Standing | undefined> {
  const standing = await limit.take("ordinary", caller);
  return standing.retryAfterMs === undefined ? undefined : standing;
}

/** Asks one after the other, in turns; how many were admitted. */
async function askInTurns(limits: readonly RateLimit[], caller: string, times: number): Promise<number> {
  let admitted = 0;
  for (let turn = 0; turn < times; turn += 1) {
    const limit = limits[turn % limits.length];
    if (limit && !(await ask(limit, caller))) admitted += 1;
  }
  return admitted;
}

describe("with Redis", () => {
  test("a caller has a burst, then is refused, and told when to come again", async () => {
    const limit = aGateway();
    await connected(limit);
    const caller = aCaller();
    expect(await askInTurns([limit], caller, 20)).toBe(20);
    const refusal = await ask(limit, caller);
    expect(refusal).toMatchObject({ remaining: 0 });
    expect(refusal?.retryAfterMs).toBeGreaterThan(15_000);
    expect(refusal?.retryAfterMs).toBeLessThanOrEqual(20_000);
    expect(await ask(limit, aCaller())).toBeUndefined();
  });

  test("two gateways share one limit", async () => {
    const gateways = [aGateway(), aGateway()];
    await connected(...gateways);
    expect(await askInTurns(gateways, aCaller(), 60)).toBe(20);
  });

  test("who asks again at the time given is admitted, and not before", async () => {
    const limit = aGateway({ perSecond: 4, burst: 2 });
    await connected(limit);
    const caller = aCaller();
    await askInTurns([limit], caller, 2);
    const startMs = performance.now();
    const refusal = await ask(limit, caller);
    expect(refusal?.retryAfterMs).toBeGreaterThan(0);
    await eventually(async () => expect(await ask(limit, caller)).toBeUndefined(), 2_000);
    // Redis counts in whole milliseconds.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual((refusal?.retryAfterMs ?? 0) - 2);
  });

  const askAtOnce = async (limits: readonly RateLimit[], caller: string, times: number) => {
    const asked = Array.from({ length: times }, () => limits.map((limit) => ask(limit, caller))).flat();
    return (await Promise.all(asked)).filter((refusal) => refusal === undefined).length;
  };

  test("a whole burst at the same moment is admitted, and nothing beyond it", async () => {
    const limit = aGateway({ burst: 200 });
    await connected(limit);
    const caller = aCaller();
    expect(await askAtOnce([limit], caller, 250)).toBe(200);
    expect(await askAtOnce([limit], caller, 10)).toBe(0);
  });

  test("of a burst that hits two gateways at the same moment, none keeps more than a batch from the other", async () => {
    const gateways = [aGateway({ burst: 200 }), aGateway({ burst: 200 })];
    await connected(...gateways);
    const caller = aCaller();
    const admitted = await askAtOnce(gateways, caller, 100);
    expect(admitted).toBeGreaterThanOrEqual(190);
    expect(admitted + (await askInTurns(gateways, caller, 100))).toBe(200);
  });

  test("permits are fetched several at a time: most requests wait for nothing", async () => {
    const limit = aGateway({ burst: 100 });
    await connected(limit);
    const caller = aCaller();
    const waited = [];
    for (let times = 0; times < 15; times += 1) {
      const taken = limit.take("ordinary", caller);
      waited.push(taken instanceof Promise);
      await taken;
    }
    expect(waited.filter(Boolean)).toHaveLength(3);
  });

  test("a caller is told how many requests are left, and when all will be", async () => {
    const limit = aGateway({ burst: 40 });
    await connected(limit);
    const caller = aCaller();
    const left = [];
    for (let times = 0; times < 5; times += 1) left.push((await limit.take("ordinary", caller)).remaining);
    expect(left).toEqual([39, 38, 37, 36, 35]);
    const { resetMs } = await limit.take("ordinary", caller);
    expect(resetMs).toBeGreaterThan(5 * 20_000);
    expect(resetMs).toBeLessThanOrEqual(6 * 20_000);
  });

  test("a caller has a limit for each rule: using one up leaves the others", async () => {
    const limit = aGateway({ burst: 3 });
    await connected(limit);
    const caller = aCaller();
    expect(await askInTurns([limit], caller, 5)).toBe(3);
    expect((await limit.take("costly", caller)).retryAfterMs).toBeUndefined();
  });

  test("who is refused is not asked about again before there can be a permit", async () => {
    const limit = aGateway({ burst: 2 });
    await connected(limit);
    const caller = aCaller();
    expect(await askInTurns([limit], caller, 3)).toBe(2);
    const again = limit.take("ordinary", caller);
    expect(again).not.toBeInstanceOf(Promise);
    expect((await again).retryAfterMs).toBeGreaterThan(15_000);
  });

  test("a caller who is quiet for long leaves nothing behind", async () => {
    const limit = aGateway({ perSecond: 1_000 });
    await connected(limit);
    const caller = aCaller();
    await limit.take("ordinary", caller);
    const [key = ""] = await keyOf(caller);
    expect(await redis.pttl(key)).toBeGreaterThan(0);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(1_100);
  });
});

describe("without Redis", () => {
  test("each gateway counts for itself, and together again when Redis is back", async () => {
    const gateways = [aGateway({ burst: 5 }), aGateway({ burst: 5 })];
    await connected(...gateways);
    await store.stop("immediate");

    const caller = aCaller();
    expect(await askInTurns(gateways, caller, 30)).toBe(10);
    const refusal = await ask(gateways[0] as RateLimit, caller);
    expect(refusal).toMatchObject({ remaining: 0 });
    expect(refusal?.retryAfterMs).toBeGreaterThan(15_000);
    expect(refusal?.retryAfterMs).toBeLessThanOrEqual(20_000);

    await store.start();
    await connected(...gateways);
    expect(await askInTurns(gateways, aCaller(), 30)).toBe(5);
  });

  test("a Redis that hangs refuses nobody, and costs a request its patience and no more", async () => {
    const limit = aGateway({ burst: 5, patienceMs: 100 });
    await connected(limit);
    await redis.call("client", "pause", "1500", "all");
    const startMs = performance.now();
    expect(await ask(limit, aCaller())).toBeUndefined();
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });
});
