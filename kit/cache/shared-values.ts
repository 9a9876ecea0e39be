import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { RedisLink } from "./redis-link.ts";

/** The right to store what is loaded from now on, for those keys where nobody else has it. */
export interface Lease {
  readonly token: string;
  readonly held: ReadonlySet<string>;
}

/** What is known of a key: its bytes, null for nothing, undefined while Redis is away. */
export type Known = Uint8Array | null | undefined;

// Longer than a load takes. A replica that dies with a lease costs others their own patience, not this time.
const leaseMs = 2_000;

// Only whoever still holds the lease may store: a value loaded before an invalidation must not be there after it.
const storeWhileHeld = `
if redis.call("get", KEYS[2]) ~= ARGV[1] then return 0 end
redis.call("del", KEYS[2])
if ARGV[2] then redis.call("set", KEYS[1], ARGV[2], "px", ARGV[3]) end
return 1`;

// What does not fit is left to its TTL.
const mostUnsent = 10_000;

/** Values and leases in Redis, shared by all replicas. Nothing here rejects because of Redis. */
export class SharedValues {
  readonly #link: RedisLink;
  readonly #prefix: string;
  /** Keys whose deletion has yet to be sent. */
  #unsent = new Set<string>();

  constructor(url: string, prefix: string, answerTimeoutMs: number, log: Logger) {
    this.#link = new RedisLink(url, answerTimeoutMs, log);
    this.#prefix = prefix;
  }

  async read(key: string): Promise<Known> {
    if (this.#unsent.size > 0 && !(await this.#sendUnsent())) return undefined;
    return this.#link.ask((redis) => redis.getBuffer(this.#value(key)));
  }

  /** One answer per key, in their order; undefined while Redis is away. */
  async readMany(keys: readonly string[]): Promise<readonly (Uint8Array | null)[] | undefined> {
    if (this.#unsent.size > 0 && !(await this.#sendUnsent())) return undefined;
    return this.#link.ask((redis) => redis.mgetBuffer(keys.map((key) => this.#value(key))));
  }

  /** Takes the lease of each key that is free; undefined while Redis is away. */
  lease(keys: readonly string[]): Promise<Lease | undefined> {
    const token = randomUUID();
    return this.#link.ask(async (redis) => {
      const answers = await Promise.all(
        keys.map((key) => redis.set(this.#lease(key), token, "PX", leaseMs, "NX")),
      );
      return { token, held: new Set(keys.filter((_, index) => answers[index] === "OK")) };
    });
  }

  /** Gives the lease back, storing the values there are for keys that are still held. */
  async settle(
    { token, held }: Lease,
    values: ReadonlyMap<string, Uint8Array>,
    ttlMs: number,
  ): Promise<void> {
    const settleKey = (redis: Redis, key: string) => {
      const bytes = values.get(key);
      const stored =
        bytes === undefined ? [] : [Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), ttlMs];
      return redis.eval(storeWhileHeld, 2, this.#value(key), this.#lease(key), token, ...stored);
    };
    await this.#link.ask((redis) => Promise.all(Array.from(held, (key) => settleKey(redis, key))));
  }

  /** Deletes the values, and the leases of whoever is loading them; what cannot be sent now is sent before the next read. */
  async invalidate(keys: readonly string[]): Promise<void> {
    for (const key of keys) if (this.#unsent.size < mostUnsent) this.#unsent.add(key);
    await this.#sendUnsent();
  }

  close(): void {
    this.#link.close();
  }

  /** Whether every invalidation so far has reached Redis; what is read before that may be out of date. */
  async #sendUnsent(): Promise<boolean> {
    if (this.#unsent.size === 0) return true;
    const keys = this.#unsent;
    this.#unsent = new Set();
    const names = Array.from(keys, (key) => [this.#value(key), this.#lease(key)]).flat();
    const deleted = await this.#link.ask((redis) => redis.del(names));
    if (deleted !== undefined) return true;
    this.#unsent = keys.union(this.#unsent);
    return false;
  }

  #value(key: string): string {
    return `${this.#prefix}:value:${key}`;
  }

  #lease(key: string): string {
    return `${this.#prefix}:lease:${key}`;
  }
}
