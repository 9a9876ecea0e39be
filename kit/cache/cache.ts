// Cache-aside in Redis. A miss is loaded once per process and, for single keys, once across replicas: a short lease
// makes the others wait for the value. A value loaded before an invalidation is never stored after it. Redis may be
// slow, hung or away: then everything is loaded directly, at once, and nothing but latency changes; invalidations that
// could not be sent go first when it is back, and a value's TTL bounds how long another replica may miss one. Values that
// say so (`copyMs`) are answered for a moment without asking Redis again.
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { Copies } from "./copies.ts";
import { createFlights, type Flights } from "./flights.ts";
import { type Lease, SharedValues } from "./shared-values.ts";

/** How values of one kind are kept. */
export interface Keeping<Value> {
  /** The longest a value is answered after it was loaded; each is kept up to a tenth less, so that they end apart. */
  readonly ttlMs: number;
  /**
   * How long this process may answer what it has read in Redis without asking again, of `ttlMs`; 0 unless told, and never more than
   * half. Whoever asks gets the same object. Another replica's invalidation is missed for so long at most.
   */
  readonly copyMs?: number;
  encode(value: Value): Uint8Array;
  /** May throw where the bytes are of another version: the value is loaded again. */
  decode(bytes: Uint8Array): Value;
}

/** How one value is kept, and had when it is not there. */
export interface Loading<Value> extends Keeping<Value> {
  /** Its rejection is that of everybody who waits for it; nothing is stored then. */
  load(): Promise<Value>;
}

/** How values are kept, and had when they are not there. */
export interface LoadingMany<Value> extends Keeping<Value> {
  /** Loads what is missing in one go; a key that is not in its answer is not stored. */
  loadMany(missing: readonly string[]): Promise<ReadonlyMap<string, Value>>;
}

/** Values that cost something to load, kept for a while. A key stands for one kind of value everywhere. */
export interface Cache {
  getOrLoad<Value>(key: string, loading: Loading<Value>): Promise<Value>;
  /** The values there are, by key. Misses share a load within the process only: they cost one query as it is. */
  getManyOrLoad<Value>(keys: readonly string[], loading: LoadingMany<Value>): Promise<Map<string, Value>>;
  /**
   * Call it after the transaction that changed the values; whoever asks after it has returned sees the change, in another replica
   * `copyMs` later at most.
   */
  invalidate(keys: readonly string[]): Promise<void>;
  close(): void;
}

/** Where values are kept. */
export interface CacheOptions {
  readonly redisUrl: string;
  /** Keeps this service's keys apart from others': its name. */
  readonly prefix: string;
  readonly log: Logger;
  /** After how long without an answer Redis counts as away; 100 unless told: longer than any healthy answer, shorter than what anybody notices. */
  readonly answerTimeoutMs?: number;
}

interface Parts {
  readonly shared: SharedValues;
  readonly copies: Copies;
  readonly singles: Flights<unknown>;
  readonly batches: Flights<ReadonlyMap<string, unknown>>;
}

/** A cache that connects in the background and is usable at once. */
export function createCache({ redisUrl, prefix, log, answerTimeoutMs = 100 }: CacheOptions): Cache {
  const shared = new SharedValues(redisUrl, prefix, answerTimeoutMs, log);
  const parts: Parts = {
    shared,
    copies: new Copies(),
    singles: createFlights(),
    batches: createFlights(),
  };
  return {
    getOrLoad: (key, loading) => getOrLoad(parts, key, loading),
    getManyOrLoad: (keys, loading) => readManyOrLoad(parts, [...new Set(keys)], loading),
    invalidate: (keys) => invalidate(parts, keys),
    close: () => shared.close(),
  };
}

// How long to wait for another replica that is loading the value, before loading it all the same.
const patienceMs = 500;
const pollMs = 10;

// A key stands for one kind of value, so whoever loads or copies it has this kind.
async function getOrLoad<Value>(
  { singles, shared, copies }: Parts,
  key: string,
  loading: Loading<Value>,
): Promise<Value> {
  const copy = copies.get(key);
  if (copy !== undefined) return copy as Value;
  const [value] = await singles.join([key], async () => {
    const keep = copies.begin(copyMsOf(loading));
    const read = await readOrLoad(shared, key, loading);
    keep(key, read);
    return read;
  });
  return value as Value;
}

const copyMsOf = <Value>({ ttlMs, copyMs = 0 }: Keeping<Value>) => Math.min(copyMs, ttlMs / 2);

async function readOrLoad<Value>(shared: SharedValues, key: string, loading: Loading<Value>): Promise<Value> {
  const givesUpAtMs = performance.now() + patienceMs;
  for (;;) {
    const bytes = await shared.read(key);
    if (bytes === undefined) return loading.load();
    const value = decoded(bytes, loading);
    if (value !== undefined) return value.known;
    const lease = await shared.lease([key]);
    if (lease?.held.has(key)) return readOrLoadUnder(shared, lease, key, loading);
    if (lease === undefined || performance.now() >= givesUpAtMs) return loading.load();
    await delay(pollMs);
  }
}

/** Reads once more first: whoever had the lease before may have stored the value since it was missed. */
async function readOrLoadUnder<Value>(
  shared: SharedValues,
  lease: Lease,
  key: string,
  loading: Loading<Value>,
): Promise<Value> {
  const stored = decoded(await shared.read(key), loading);
  if (stored !== undefined) {
    await shared.settle(lease, new Map(), 0);
    return stored.known;
  }
  const load = async () => new Map([[key, await loading.load()]]);
  const values = await loadUnder(shared, lease, loading, load);
  return values.get(key) as Value;
}

async function readManyOrLoad<Value>(
  parts: Parts,
  keys: readonly string[],
  loading: LoadingMany<Value>,
): Promise<Map<string, Value>> {
  const found = new Map<string, Value>();
  const wanted = keys.filter((key) => {
    const copy = parts.copies.get(key);
    if (copy !== undefined) found.set(key, copy as Value);
    return copy === undefined;
  });
  if (wanted.length === 0) return found;
  const missing = await readMany(parts, wanted, loading, found);
  if (missing.length > 0) await loadMissing(parts, missing, loading, found);
  return found;
}

/** Adds what Redis has to what was found; answers what it does not have. */
async function readMany<Value>(
  { shared, copies }: Parts,
  keys: readonly string[],
  loading: LoadingMany<Value>,
  found: Map<string, Value>,
): Promise<readonly string[]> {
  const keep = copies.begin(copyMsOf(loading));
  const known = await shared.readMany(keys);
  return keys.filter((key, index) => {
    const value = decoded(known?.[index], loading);
    if (value === undefined) return true;
    found.set(key, value.known);
    keep(key, value.known);
    return false;
  });
}

/** Loads what nobody in this process is loading, waits for the rest, and adds both to what was found. */
async function loadMissing<Value>(
  { shared, batches }: Parts,
  missing: readonly string[],
  loading: LoadingMany<Value>,
  found: Map<string, Value>,
): Promise<void> {
  const loads = await batches.join(missing, (fresh) => loadBatch(shared, fresh, loading));
  for (const [index, key] of missing.entries()) {
    const value = loads[index]?.get(key) as Value | undefined;
    if (value !== undefined) found.set(key, value);
  }
}

async function loadBatch<Value>(shared: SharedValues, keys: readonly string[], loading: LoadingMany<Value>) {
  const lease = await shared.lease(keys);
  return loadUnder(shared, lease, loading, () => loading.loadMany(keys));
}

/** Loads, and stores what was loaded where the lease still allows it; gives the lease back if loading fails. */
async function loadUnder<Value>(
  shared: SharedValues,
  lease: Lease | undefined,
  keeping: Keeping<Value>,
  load: () => Promise<ReadonlyMap<string, Value>>,
): Promise<ReadonlyMap<string, Value>> {
  if (lease === undefined) return load();
  const encoded = new Map<string, Uint8Array>();
  try {
    const values = await load();
    for (const [key, value] of values) encoded.set(key, keeping.encode(value));
    return values;
  } finally {
    const keptMs = keeping.ttlMs - copyMsOf(keeping);
    await shared.settle(lease, encoded, Math.ceil(keptMs * (1 - Math.random() / 10)));
  }
}

function decoded<Value>(
  bytes: Uint8Array | null | undefined,
  { decode }: Keeping<Value>,
): { known: Value } | undefined {
  if (bytes === null || bytes === undefined) return undefined;
  try {
    return { known: decode(bytes) };
  } catch {
    return undefined;
  }
}

function invalidate({ shared, copies, singles, batches }: Parts, keys: readonly string[]): Promise<void> {
  copies.forget(keys);
  singles.forget(keys);
  batches.forget(keys);
  return shared.invalidate(keys);
}
