import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ServiceError } from "#kit/errors/errors.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startRedis } from "../../../tools/stores/redis.ts";
import type { Store } from "../../../tools/stores/store.ts";
import { startGuard } from "../../../tools/stores/store-set.ts";
import { createRateLimit, type RateLimit } from "../rate-limit.ts";

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

/** The limit as a gateway has it. One permit in 20 s is as good as none while a test runs. */
function aGateway({ perSecond = 0.05, burst = 20 } = {}): RateLimit {
  const limit = createRateLimit({ redisUrl: store.url, perSecond, burst, log });
  open.push(limit);
  return limit;
}

const isCounted = (caller: string) => redis.exists(`rate:${caller}`);

/** Waits until a gateway counts in Redis, and not for itself. */
async function connected(...limits: RateLimit[]) {
  for (const limit of limits) {
    await eventually(async () => {
      const caller = aCaller();
      await limit.take(caller);
      expect(await isCounted(caller)).toBe(1);
    });
  }
}

/** Asks once; the refusal, where there is one. */
async function ask(limit: RateLimit, caller: string): Promise<ServiceError | undefined> {
  try {
    await limit.take(caller);
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
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
    expect(refusal).toMatchObject({ reason: "RATE_LIMITED", domain: "errors.souk", code: 8 });
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
      const taken = limit.take(caller);
      waited.push(taken instanceof Promise);
      await taken;
    }
    expect(waited.filter(Boolean)).toHaveLength(3);
  });

  test("a caller who is quiet for long leaves nothing behind", async () => {
    const limit = aGateway({ perSecond: 1_000 });
    await connected(limit);
    const caller = aCaller();
    await limit.take(caller);
    expect(await redis.pttl(`rate:${caller}`)).toBeGreaterThan(0);
    expect(await redis.pttl(`rate:${caller}`)).toBeLessThanOrEqual(1_100);
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
    expect(refusal).toMatchObject({ reason: "RATE_LIMITED" });
    expect(refusal?.retryAfterMs).toBeGreaterThan(15_000);
    expect(refusal?.retryAfterMs).toBeLessThanOrEqual(20_000);

    await store.start();
    await connected(...gateways);
    expect(await askInTurns(gateways, aCaller(), 30)).toBe(5);
  });

  test("a Redis that hangs refuses nobody, and costs a request its patience and no more", async () => {
    const limit = aGateway({ burst: 5 });
    await connected(limit);
    await redis.call("client", "pause", "1500", "all");
    const startMs = performance.now();
    expect(await ask(limit, aCaller())).toBeUndefined();
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });
});
