import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newUuid } from "#kit/ids/ids.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { startRedis } from "../../../tools/stores/redis.ts";
import type { Store } from "../../../tools/stores/store.ts";
import { type Cache, createCache, type Loading } from "../cache.ts";

const log = createLogger({ service: "cache-test", level: "silent" });
const folder = mkdtempSync(join(tmpdir(), "souk-cache-"));
let redis: Store;
let prefix: string;
const caches: Cache[] = [];

beforeAll(async () => {
  const options = { dataDir: folder, logPath: join(folder, "redis.log"), port: 0, log: () => undefined };
  redis = await startRedis(options);
}, 30_000);
afterAll(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  prefix = newUuid();
});
afterEach(() => {
  for (const cache of caches.splice(0)) cache.close();
});

const json = {
  ttlMs: 60_000,
  encode: (value: unknown) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)),
};

/** A source whose loads are counted, and wait for its gate. */
function source<Value>(value: Value) {
  const state = { value, loads: 0, gate: Promise.resolve() };
  const loading: Loading<Value> = {
    ...json,
    async load() {
      state.loads++;
      const loaded = state.value;
      await state.gate;
      return loaded;
    },
  };
  return { state, loading };
}

function hold(state: { gate: Promise<void> }): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  state.gate = promise;
  return resolve;
}

/** Patient by default: a busy machine lets a healthy Redis answer late. */
function replica(options: { answerTimeoutMs?: number } = { answerTimeoutMs: 5_000 }): Cache {
  const cache = createCache({ redisUrl: redis.url, prefix, log, ...options });
  caches.push(cache);
  return cache;
}

/** A replica whose connection is up: what it loads is found again. */
async function connectedReplica(options?: { answerTimeoutMs?: number }): Promise<Cache> {
  const cache = replica(options);
  await untilConnected(cache);
  return cache;
}

async function flushRedis(): Promise<void> {
  const link = new Redis(redis.url);
  await link.flushall();
  link.disconnect();
}

async function untilConnected(cache: Cache): Promise<void> {
  const probe = source("probe");
  const key = newUuid();
  const isStored = async () => {
    const before = probe.state.loads;
    await cache.getOrLoad(key, probe.loading);
    return probe.state.loads === before;
  };
  await expect.poll(isStored, { timeout: 5_000, interval: 20 }).toBe(true);
}

describe("a value", () => {
  it("is loaded once and answered from then on, to every replica", async () => {
    const [one, other] = [await connectedReplica(), await connectedReplica()];
    const { state, loading } = source({ price: 1_999 });
    expect(await one.getOrLoad("lamp", loading)).toEqual({ price: 1_999 });
    expect(await one.getOrLoad("lamp", loading)).toEqual({ price: 1_999 });
    expect(await other.getOrLoad("lamp", loading)).toEqual({ price: 1_999 });
    expect(state.loads).toBe(1);
  });

  it("of another service under the same key is another value", async () => {
    const mine = await connectedReplica();
    prefix = newUuid();
    const theirs = await connectedReplica();
    expect(await mine.getOrLoad("lamp", source("mine").loading)).toBe("mine");
    expect(await theirs.getOrLoad("lamp", source("theirs").loading)).toBe("theirs");
  });

  it("is loaded again after its time", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("old");
    const short = { ...loading, ttlMs: 50 };
    await cache.getOrLoad("lamp", short);
    state.value = "new";
    await expect.poll(() => cache.getOrLoad("lamp", short), { interval: 10 }).toBe("new");
    expect(state.loads).toBe(2);
  });

  it("that cannot be read any more is loaded again and replaced", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("current");
    await cache.getOrLoad("lamp", { ...loading, encode: () => new Uint8Array([1, 2, 3]) });
    expect(await cache.getOrLoad("lamp", loading)).toBe("current");
    expect(await cache.getOrLoad("lamp", loading)).toBe("current");
    expect(state.loads).toBe(2);
  });

  it("that could not be loaded is told to all who waited, and is loaded anew for the next", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("good");
    let failures = 0;
    const failing = {
      ...loading,
      load: () => {
        failures++;
        return Promise.reject(new Error("no database"));
      },
    };
    const waiting = Array.from({ length: 5 }, () => cache.getOrLoad("lamp", failing));
    const outcomes = await Promise.allSettled(waiting);
    expect(outcomes.every((outcome) => outcome.status === "rejected")).toBe(true);
    expect(failures).toBe(1);
    const before = performance.now();
    expect(await cache.getOrLoad("lamp", loading)).toBe("good");
    expect(performance.now() - before).toBeLessThan(400);
    expect(state.loads).toBe(1);
  });
});

describe("a stampede", () => {
  it("of 200 callers in each of three replicas loads once", async () => {
    const replicas = await Promise.all([connectedReplica(), connectedReplica(), connectedReplica()]);
    const { state, loading } = source("lamp");
    const release = hold(state);
    const callers = replicas.flatMap((cache) =>
      Array.from({ length: 200 }, () => cache.getOrLoad("lamp", loading)),
    );
    await expect.poll(() => state.loads).toBe(1);
    release();
    expect(new Set(await Promise.all(callers))).toEqual(new Set(["lamp"]));
    expect(state.loads).toBe(1);
  });

  it("whose loader does not come back is served by the next, after half a second", async () => {
    const [stuck, other] = [await connectedReplica(), await connectedReplica()];
    const slow = source("never");
    const release = hold(slow.state);
    const waiting = stuck.getOrLoad("lamp", slow.loading);
    await expect.poll(() => slow.state.loads).toBe(1);
    const before = performance.now();
    expect(await other.getOrLoad("lamp", source("lamp").loading)).toBe("lamp");
    expect(performance.now() - before).toBeLessThan(1_500);
    release();
    await waiting;
  });
});

describe("an invalidated value", () => {
  it("is loaded again by every replica", async () => {
    const [one, other] = [await connectedReplica(), await connectedReplica()];
    const { state, loading } = source("old");
    await one.getOrLoad("lamp", loading);
    state.value = "new";
    await other.invalidate(["lamp", "never cached"]);
    expect(await one.getOrLoad("lamp", loading)).toBe("new");
    expect(await other.getOrLoad("lamp", loading)).toBe("new");
  });

  it.each(["the same replica", "another replica"])(
    "does not come back by a load that began before, in %s",
    async (which) => {
      const one = await connectedReplica();
      const invalidating = which === "the same replica" ? one : await connectedReplica();
      const { state, loading } = source("old");
      const release = hold(state);
      const early = one.getOrLoad("lamp", loading);
      await expect.poll(() => state.loads).toBe(1);
      state.value = "new";
      await invalidating.invalidate(["lamp"]);
      release();
      expect(await early).toBe("old");
      expect(await one.getOrLoad("lamp", loading)).toBe("new");
      expect(await invalidating.getOrLoad("lamp", loading)).toBe("new");
    },
  );

  it("is not answered by a load under way to those who ask after the invalidation", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("old");
    const release = hold(state);
    const early = cache.getOrLoad("lamp", loading);
    await expect.poll(() => state.loads).toBe(1);
    state.value = "new";
    await cache.invalidate(["lamp"]);
    const late = cache.getOrLoad("lamp", loading);
    await expect.poll(() => state.loads).toBe(2);
    release();
    expect([await early, await late]).toEqual(["old", "new"]);
  });
});

describe("a copy", () => {
  const copied = { ...json, copyMs: 400 };
  const everyValue = (state: { value: string; loads: number }) => ({
    ...copied,
    loadMany: async (keys: readonly string[]) => {
      state.loads++;
      return new Map(keys.map((key) => [key, state.value]));
    },
  });

  it("answers for a moment what Redis has lost, and not after it", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("old");
    const wish = { ...loading, copyMs: 400 };
    await cache.getOrLoad("lamp", wish);
    const many = everyValue(state);
    await cache.getManyOrLoad(["cup"], many);
    await cache.getManyOrLoad(["cup"], many);
    expect(state.loads).toBe(2);
    await flushRedis();
    state.value = "new";
    expect(await cache.getOrLoad("lamp", wish)).toBe("old");
    expect(await cache.getManyOrLoad(["cup"], many)).toEqual(new Map([["cup", "old"]]));
    expect(state.loads).toBe(2);
    await expect.poll(() => cache.getOrLoad("lamp", wish), { interval: 20 }).toBe("new");
    await expect.poll(async () => (await cache.getManyOrLoad(["cup"], many)).get("cup")).toBe("new");
  });

  it("is dropped by an invalidation in the same replica at once, in another one after its moment", async () => {
    const [one, other] = [await connectedReplica(), await connectedReplica()];
    const { state, loading } = source("old");
    const wish = { ...loading, copyMs: 400 };
    await one.getOrLoad("lamp", wish);
    await other.getOrLoad("lamp", wish);
    state.value = "new";
    await one.invalidate(["lamp"]);
    expect(await one.getOrLoad("lamp", wish)).toBe("new");
    await expect.poll(() => other.getOrLoad("lamp", wish), { timeout: 1_500, interval: 20 }).toBe("new");
  });

  it("is not made of what was read before an invalidation", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("old");
    const wish = { ...loading, copyMs: 60_000 };
    const release = hold(state);
    const early = cache.getOrLoad("lamp", wish);
    await expect.poll(() => state.loads).toBe(1);
    state.value = "new";
    await cache.invalidate(["lamp"]);
    release();
    expect(await early).toBe("old");
    expect(await cache.getOrLoad("lamp", wish)).toBe("new");
  });

  it("counts towards the time a value is answered", async () => {
    const cache = await connectedReplica();
    const { state, loading } = source("old");
    const wish = { ...loading, ttlMs: 600, copyMs: 60_000 };
    await cache.getOrLoad("lamp", wish);
    const loadedAt = performance.now();
    state.value = "new";
    await expect.poll(() => cache.getOrLoad("lamp", wish), { timeout: 3_000, interval: 10 }).toBe("new");
    expect(performance.now() - loadedAt).toBeLessThan(1_200);
  });
});

describe("many values", () => {
  function shelf(...keys: string[]) {
    const asked: string[][] = [];
    const state = { gate: Promise.resolve() };
    const loading = {
      ...json,
      async loadMany(missing: readonly string[]) {
        asked.push([...missing]);
        await state.gate;
        return new Map(missing.filter((key) => keys.includes(key)).map((key) => [key, key.toUpperCase()]));
      },
    };
    return { asked, state, loading };
  }

  it("load in one go what is missing, and only that", async () => {
    const [one, other] = [await connectedReplica(), await connectedReplica()];
    const { asked, loading } = shelf("a", "b", "c");
    expect(await one.getManyOrLoad(["a", "b", "a"], loading)).toEqual(
      new Map([
        ["a", "A"],
        ["b", "B"],
      ]),
    );
    expect(await other.getManyOrLoad(["a", "b", "c"], loading)).toEqual(
      new Map([
        ["a", "A"],
        ["b", "B"],
        ["c", "C"],
      ]),
    );
    expect(asked).toEqual([["a", "b"], ["c"]]);
    expect(await one.getManyOrLoad([], loading)).toEqual(new Map());
  });

  it("leave out what does not exist, and ask for it again next time", async () => {
    const cache = await connectedReplica();
    const { asked, loading } = shelf("a");
    expect(await cache.getManyOrLoad(["a", "gone"], loading)).toEqual(new Map([["a", "A"]]));
    expect(await cache.getManyOrLoad(["a", "gone"], loading)).toEqual(new Map([["a", "A"]]));
    expect(asked).toEqual([["a", "gone"], ["gone"]]);
  });

  it("share the loads that are under way", async () => {
    const cache = await connectedReplica();
    const { asked, state, loading } = shelf("a", "b", "c");
    const release = hold(state);
    const first = cache.getManyOrLoad(["a", "b"], loading);
    await expect.poll(() => asked.length).toBe(1);
    const second = cache.getManyOrLoad(["b", "c"], loading);
    await expect.poll(() => asked.length).toBe(2);
    release();
    expect([...(await first).keys(), ...(await second).keys()]).toEqual(["a", "b", "b", "c"]);
    expect(asked).toEqual([["a", "b"], ["c"]]);
  });

  it("that were loaded before an invalidation are not stored after it", async () => {
    const cache = await connectedReplica();
    const { asked, state, loading } = shelf("a", "b");
    const release = hold(state);
    const early = cache.getManyOrLoad(["a", "b"], loading);
    await expect.poll(() => asked.length).toBe(1);
    await cache.invalidate(["a"]);
    release();
    await early;
    await cache.getManyOrLoad(["a", "b"], loading);
    expect(asked).toEqual([["a", "b"], ["a"]]);
  });

  it("that cannot be loaded reject for all who wait, and once", async () => {
    const cache = await connectedReplica();
    const failing = { ...json, loadMany: () => Promise.reject(new Error("no database")) };
    const outcomes = await Promise.allSettled([
      cache.getManyOrLoad(["a", "b"], failing),
      cache.getManyOrLoad(["b"], failing),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
  });
});

describe("without Redis", () => {
  afterEach(async () => {
    if (redis.pid === undefined) await redis.start();
    else process.kill(redis.pid, "SIGCONT");
  });

  async function timed<Value>(work: () => Promise<Value>): Promise<number> {
    const before = performance.now();
    await work();
    return performance.now() - before;
  }

  it("values are loaded directly, at once, before the first connection too", async () => {
    await redis.stop();
    const cache = replica();
    const { state, loading } = source("lamp");
    const many = { ...json, loadMany: () => Promise.resolve(new Map([["a", "A"]])) };
    const tookMs = await timed(async () => {
      for (let round = 1; round <= 20; round++) {
        await cache.getOrLoad("lamp", loading);
        await cache.getManyOrLoad(["a"], many);
        await cache.invalidate(["lamp"]);
      }
    });
    expect(tookMs).toBeLessThan(1_000);
    expect(state.loads).toBe(20);
  });

  it("callers at the same time still share one load", async () => {
    const cache = await connectedReplica();
    await redis.kill("SIGKILL");
    const { state, loading } = source("lamp");
    const release = hold(state);
    const callers = Array.from({ length: 50 }, () => cache.getOrLoad("lamp", loading));
    await expect.poll(() => state.loads).toBe(1);
    release();
    await Promise.all(callers);
    expect(state.loads).toBe(1);
  });

  it("that hangs, one caller waits a tenth of a second and the others not at all", async () => {
    const cache = await connectedReplica({});
    const { loading } = source("lamp");
    process.kill(redis.pid ?? Number.NaN, "SIGSTOP");
    expect(await timed(() => cache.getOrLoad("lamp", loading))).toBeLessThan(400);
    const others = async () => {
      for (let round = 1; round <= 20; round++) await cache.getOrLoad("lamp", loading);
    };
    expect(await timed(others)).toBeLessThan(1_000);
  });

  it("values are kept again as soon as it is back", async () => {
    const cache = await connectedReplica();
    await redis.kill("SIGKILL");
    await cache.getOrLoad("lamp", source("lamp").loading);
    await redis.start();
    await untilConnected(cache);
  });

  it("that was out of reach during an invalidation does not answer the old value afterwards", async () => {
    const wire = await startWire(redis.port);
    const cache = createCache({ redisUrl: `redis://127.0.0.1:${wire.port}`, prefix, log });
    caches.push(cache);
    await untilConnected(cache);
    const { state, loading } = source("old");
    await cache.getOrLoad("lamp", loading);
    wire.cut();
    state.value = "new";
    await expect.poll(() => cache.getOrLoad("lamp", loading)).toBe("new");
    await cache.invalidate(["lamp"]);
    wire.mend();
    await untilConnected(cache);
    expect(await cache.getOrLoad("lamp", loading)).toBe("new");
    await wire.close();
  });
});

/** A way to Redis that can be cut while Redis itself goes on. */
async function startWire(target: number) {
  const ends = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    for (const end of [near, far]) {
      ends.add(end);
      end.on("error", () => end.destroy()).on("close", () => ends.delete(end));
    }
    if (isCut) near.destroy();
    near.pipe(far).pipe(near);
  });
  const cut = () => {
    isCut = true;
    for (const end of ends) end.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: () => {
      isCut = false;
    },
    close: () => {
      cut();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

it("a closed cache still loads", async () => {
  const cache = await connectedReplica();
  cache.close();
  expect(await cache.getOrLoad("lamp", source("lamp").loading)).toBe("lamp");
});
