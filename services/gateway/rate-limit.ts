import { Redis } from "ioredis";
import type { Logger } from "#kit/telemetry/telemetry.ts";

/** How often one caller may ask. */
export interface Rate {
  /** Requests a second in the long run. */
  readonly perSecond: number;
  /** Requests at once. */
  readonly burst: number;
}

/** What is counted: calls by class, and whatever comes from one address. */
export type RateRule = "ordinary" | "costly" | "provider" | "address";

/** What a limit is made of. */
export interface RateLimitOptions {
  readonly redisUrl: string;
  readonly rates: Readonly<Record<RateRule, Rate>>;
  readonly log: Logger;
  /** How long Redis may take to answer before this replica counts for itself, default 100: callers wait meanwhile. */
  readonly patienceMs?: number;
}

/** How a caller stands after a request. */
export interface Standing {
  /** Requests that the caller could make at once now. */
  readonly remaining: number;
  /** Until the caller could make a whole burst again. */
  readonly resetMs: number;
  /** Set where the request is one too many: until the next may come. */
  readonly retryAfterMs: number | undefined;
}

/** A limit that all replicas of the gateway share. */
export interface RateLimit {
  /** Counts a request of a caller by a rule. Answers at once while permits fetched earlier last, or where none is left. */
  take(rule: RateRule, caller: string): Standing | Promise<Standing>;
  close(): void;
}

/** Permits are fetched from Redis this many parts of a burst at a time: one round trip serves several requests. */
const batchesPerBurst = 20;
/** Permits not used within this time are given up, so that a caller who moves to another replica loses little. */
const permitLifeMs = 1_000;
/** Callers remembered at most, by each rule; beyond that the oldest fetch their permits anew. */
const maxCallers = 50_000;

/**
 * Generic cell rate algorithm (ITU-T I.371): one timestamp per caller says when its bucket is empty again. Answers the permits
 * granted, or minus the milliseconds until the next; how many are left; and the milliseconds until all are back. Redis' own
 * clock, so that replicas need not agree on the time.
 */
const script = `
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
local intervalMs, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local emptyAtMs = math.max(tonumber(redis.call('GET', KEYS[1]) or nowMs), nowMs)
local free = math.floor((nowMs + burst * intervalMs - emptyAtMs) / intervalMs)
if free < 1 then
  return {-math.ceil(emptyAtMs + intervalMs - nowMs - burst * intervalMs), 0, math.ceil(emptyAtMs - nowMs)}
end
local granted = math.min(free, wanted)
local nextMs = emptyAtMs + granted * intervalMs
redis.call('SET', KEYS[1], nextMs, 'PX', math.ceil(nextMs - nowMs) + 1000)
return {granted, free - granted, math.ceil(nextMs - nowMs)}`;

/** Permits granted (or minus the wait), permits left, milliseconds until all are back. */
type Grant = readonly [granted: number, left: number, fullInMs: number];

/** Makes the limit. Where Redis is away, each replica goes on with buckets of its own. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const redis = connect(options);
  const counters = new Map<RateRule, Counter>();
  for (const [rule, rate] of Object.entries(options.rates))
    counters.set(
      rule as RateRule,
      new Counter(rate, (caller, wanted) => ask(redis, rule, rate, caller, wanted)),
    );
  return {
    take: (rule, caller) => (counters.get(rule) as Counter).take(caller),
    close: () => redis.disconnect(),
  };
}

/** What this replica holds of a caller's permits, and knows of them. Times are of this process's monotonic clock. */
interface Held {
  permits: number;
  expiresAtMs: number;
  /** Left in Redis when it was last asked. */
  elsewhere: number;
  fullAtMs: number;
  /** Until then Redis has none: there is no need to ask. */
  refusedUntilMs: number;
}

type Ask = (caller: string, wanted: number) => Promise<Grant | undefined>;

/** The callers of one rule. */
class Counter {
  readonly #rate: Rate;
  readonly #ask: Ask;
  readonly #batch: number;
  readonly #held = new Map<string, Held>();
  /** When each caller's own bucket of this replica is empty, for the time without Redis. */
  readonly #emptyAtMs = new Map<string, number>();
  readonly #asking = new Set<string>();

  constructor(rate: Rate, ask: Ask) {
    this.#rate = rate;
    this.#ask = ask;
    this.#batch = Math.max(1, Math.floor(rate.burst / batchesPerBurst));
  }

  take(caller: string): Standing | Promise<Standing> {
    const held = this.#held.get(caller);
    if (held === undefined) return this.#fetch(caller);
    const nowMs = performance.now();
    return this.#spend(held, nowMs) ?? this.#refusal(held, nowMs) ?? this.#fetch(caller);
  }

  async #fetch(caller: string): Promise<Standing> {
    // Of requests that come together one asks for a batch and each other for itself: this replica must not empty the bucket
    // for permits it has no use for.
    const isFirst = !this.#asking.has(caller);
    this.#asking.add(caller);
    const grant = (await this.#ask(caller, isFirst ? this.#batch : 1)) ?? this.#takeLocally(caller);
    if (isFirst) this.#asking.delete(caller);
    return this.#settle(caller, grant);
  }

  #settle(caller: string, [granted, left, fullInMs]: Grant): Standing {
    const nowMs = performance.now();
    const held = this.#held.get(caller) ?? noPermits();
    const fresh = held.expiresAtMs >= nowMs ? held.permits : 0;
    const taken: Held =
      granted > 0
        ? { ...held, permits: fresh + granted - 1, expiresAtMs: nowMs + permitLifeMs, refusedUntilMs: 0 }
        : { ...held, permits: fresh, refusedUntilMs: nowMs - granted };
    const now = { ...taken, elsewhere: left, fullAtMs: nowMs + fullInMs };
    remember(this.#held, caller, now);
    if (granted > 0) return standing(now, nowMs, undefined);
    // The first one's batch may hold a permit for one that came too late for the bucket.
    return this.#spend(now, nowMs) ?? standing(now, nowMs, -granted);
  }

  /** Uses up a permit that lies ready. */
  #spend(held: Held, nowMs: number): Standing | undefined {
    if (held.permits < 1 || held.expiresAtMs < nowMs) return undefined;
    held.permits -= 1;
    return standing(held, nowMs, undefined);
  }

  #refusal(held: Held, nowMs: number): Standing | undefined {
    return held.refusedUntilMs > nowMs ? standing(held, nowMs, held.refusedUntilMs - nowMs) : undefined;
  }

  /** The same algorithm for one permit: only as good as this replica's view of the caller, but it keeps a flood out. */
  #takeLocally(caller: string): Grant {
    const { perSecond, burst } = this.#rate;
    const intervalMs = 1_000 / perSecond;
    const nowMs = performance.now();
    const emptyAtMs = Math.max(this.#emptyAtMs.get(caller) ?? nowMs, nowMs);
    const free = Math.floor((nowMs + burst * intervalMs - emptyAtMs) / intervalMs);
    const fullInMs = emptyAtMs - nowMs;
    if (free < 1) return [-Math.ceil(fullInMs + intervalMs - burst * intervalMs), 0, fullInMs];
    remember(this.#emptyAtMs, caller, emptyAtMs + intervalMs);
    return [1, free - 1, fullInMs + intervalMs];
  }
}

const noPermits = (): Held => ({
  permits: 0,
  expiresAtMs: 0,
  elsewhere: 0,
  fullAtMs: 0,
  refusedUntilMs: 0,
});

const standing = (
  { permits, elsewhere, fullAtMs }: Held,
  nowMs: number,
  retryAfterMs: number | undefined,
): Standing => ({
  remaining: permits + elsewhere,
  resetMs: Math.max(0, fullAtMs - nowMs),
  retryAfterMs,
});

function remember<T>(map: Map<string, T>, key: string, value: T) {
  if (map.size >= maxCallers && !map.has(key)) map.delete(map.keys().next().value ?? "");
  map.set(key, value);
}

function connect({ redisUrl, log, patienceMs = 100 }: RateLimitOptions) {
  const redis = new Redis(redisUrl, {
    enableOfflineQueue: false,
    commandTimeout: patienceMs,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(1_000, 50 * attempt),
  });
  let away = false;
  redis.on("error", (error: Error) => {
    if (!away) log.warn({ err: error }, "Redis is away; each gateway counts for itself");
    away = true;
  });
  redis.on("ready", () => {
    away = false;
  });
  redis.defineCommand("takePermits", { numberOfKeys: 1, lua: script });
  return redis as Redis & { takePermits(key: string, ...args: number[]): Promise<Grant> };
}

async function ask(
  redis: ReturnType<typeof connect>,
  rule: string,
  { perSecond, burst }: Rate,
  caller: string,
  wanted: number,
): Promise<Grant | undefined> {
  if (redis.status !== "ready") return undefined;
  try {
    // A timestamp means something only at its own rate: while limits are changed, gateways of both kinds run.
    const key = `rate:${rule}:${perSecond}/${burst}:${caller}`;
    return await redis.takePermits(key, 1_000 / perSecond, burst, wanted);
  } catch {
    return undefined;
  }
}
