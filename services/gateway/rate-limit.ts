import { Redis } from "ioredis";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";

/** How often one caller may ask. */
export interface RateLimitOptions {
  readonly redisUrl: string;
  /** Requests a second in the long run. */
  readonly perSecond: number;
  /** Requests at once. */
  readonly burst: number;
  readonly log: Logger;
}

/** A limit that all replicas of the gateway share. */
export interface RateLimit {
  /**
   * Counts a request of a caller. Settles at once while permits fetched earlier last.
   * @throws ServiceError RATE_LIMITED, with the time until the next permit.
   */
  take(caller: string): void | Promise<void>;
  close(): void;
}

/** Permits are fetched from Redis this many parts of a burst at a time: one round trip serves several requests. */
const batchesPerBurst = 20;
/** Permits not used within this time are given up, so that a caller who moves to another replica loses little. */
const permitLifeMs = 1_000;
/** Callers remembered at most; beyond that the oldest fetch their permits anew. */
const maxCallers = 50_000;

/**
 * Generic cell rate algorithm (ITU-T I.371): one timestamp per caller says when its bucket is empty again. Answers the permits
 * granted, or minus the milliseconds until the next. Redis' own clock, so that replicas need not agree on the time.
 */
const script = `
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
local intervalMs, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local emptyAtMs = math.max(tonumber(redis.call('GET', KEYS[1]) or nowMs), nowMs)
local free = math.floor((nowMs + burst * intervalMs - emptyAtMs) / intervalMs)
if free < 1 then return -math.ceil(emptyAtMs + intervalMs - nowMs - burst * intervalMs) end
local granted = math.min(free, wanted)
local nextMs = emptyAtMs + granted * intervalMs
redis.call('SET', KEYS[1], nextMs, 'PX', math.ceil(nextMs - nowMs) + 1000)
return granted`;

interface Permits {
  left: number;
  expiresAtMs: number;
}

/** Makes the limit. Where Redis is away, each replica goes on with a bucket of its own. */
export function createRateLimit(options: RateLimitOptions): RateLimit {
  const redis = connect(options);
  const permits = new Map<string, Permits>();
  const local = new Map<string, Bucket>();
  const batch = Math.max(1, Math.floor(options.burst / batchesPerBurst));
  const fetching = new Set<string>();
  const fetch = async (caller: string) => {
    // Of requests that come together one asks for a batch and each other for itself: this replica must not empty the bucket
    // for permits it has no use for.
    const isFirst = !fetching.has(caller);
    fetching.add(caller);
    const granted =
      (await ask(redis, caller, options, isFirst ? batch : 1)) ?? takeLocally(local, caller, options);
    if (isFirst) fetching.delete(caller);
    if (granted > 0) keep(permits, caller, granted - 1);
    // The first one's batch may hold a permit for one that came too late for the bucket.
    else if (!spend(permits, caller)) throw limited(-granted);
  };
  return {
    take(caller) {
      if (!spend(permits, caller)) return fetch(caller);
    },
    close: () => redis.disconnect(),
  };
}

/** Uses up a permit that lies ready; false where there is none. */
function spend(permits: Map<string, Permits>, caller: string): boolean {
  const held = permits.get(caller);
  if (!held || held.left < 1 || held.expiresAtMs < performance.now()) return false;
  held.left -= 1;
  return true;
}

/** Adds permits to those of the caller that are still good. */
function keep(permits: Map<string, Permits>, caller: string, count: number) {
  const nowMs = performance.now();
  const held = permits.get(caller);
  const left = held && held.expiresAtMs >= nowMs ? held.left : 0;
  remember(permits, caller, { left: left + count, expiresAtMs: nowMs + permitLifeMs });
}

function connect({ redisUrl, log }: RateLimitOptions) {
  const redis = new Redis(redisUrl, {
    enableOfflineQueue: false,
    commandTimeout: 100,
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
  return redis as Redis & { takePermits(key: string, ...args: number[]): Promise<number> };
}

async function ask(
  redis: ReturnType<typeof connect>,
  caller: string,
  { perSecond, burst }: RateLimitOptions,
  wanted: number,
): Promise<number | undefined> {
  if (redis.status !== "ready") return undefined;
  try {
    return await redis.takePermits(`rate:${caller}`, 1_000 / perSecond, burst, wanted);
  } catch {
    return undefined;
  }
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** A plain token bucket for one request: only as good as this replica's view of the caller, but it keeps a flood out. */
function takeLocally(
  buckets: Map<string, Bucket>,
  caller: string,
  { perSecond, burst }: RateLimitOptions,
): number {
  const nowMs = performance.now();
  const bucket = buckets.get(caller) ?? { tokens: burst, filledAtMs: nowMs };
  const tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.filledAtMs) * perSecond) / 1_000);
  const granted = tokens >= 1;
  remember(buckets, caller, { tokens: granted ? tokens - 1 : tokens, filledAtMs: nowMs });
  return granted ? 1 : -Math.ceil(((1 - tokens) * 1_000) / perSecond);
}

function remember<T>(map: Map<string, T>, key: string, value: T) {
  if (map.size >= maxCallers && !map.has(key)) map.delete(map.keys().next().value ?? "");
  map.set(key, value);
}

const limited = (retryAfterMs: number) =>
  serviceError(ErrorReasonSchema, ErrorReason.RATE_LIMITED, "Too many requests; try again later.", {
    retryAfterMs,
  });
