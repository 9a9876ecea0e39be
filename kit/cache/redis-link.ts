import { Redis } from "ioredis";
import type { Logger } from "#kit/telemetry/telemetry.ts";

// After a command that failed, callers do without Redis for this long instead of each waiting for its own timeout.
const restAfterFailureMs = 1_000;

/** A connection to Redis that answers or is away, and never makes anybody wait for it to come back. */
export class RedisLink {
  readonly #redis: Redis;
  readonly #log: Logger;
  #restsUntilMs = 0;
  #isAway = false;

  /** A command that is not answered within `answerTimeoutMs` has failed. */
  constructor(url: string, answerTimeoutMs: number, log: Logger) {
    this.#log = log;
    this.#redis = new Redis(url, {
      enableOfflineQueue: false,
      commandTimeout: answerTimeoutMs,
      connectTimeout: 1_000,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      retryStrategy: (attempt) => Math.random() * Math.min(1_000, 50 * 2 ** attempt),
    });
    this.#redis.on("error", (error: Error) => this.#noteAway(error));
  }

  /** What Redis answers to a command; undefined when it is away. */
  async ask<Answer>(command: (redis: Redis) => Promise<Answer>): Promise<Answer | undefined> {
    if (this.#redis.status !== "ready" || performance.now() < this.#restsUntilMs) return undefined;
    try {
      const answer = await command(this.#redis);
      if (this.#isAway) this.#noteBack();
      return answer;
    } catch (error) {
      this.#restsUntilMs = performance.now() + restAfterFailureMs;
      this.#noteAway(error);
      return undefined;
    }
  }

  close(): void {
    this.#redis.disconnect();
  }

  #noteAway(error: unknown): void {
    if (!this.#isAway) this.#log.warn({ err: error }, "Redis is away; values are loaded directly");
    this.#isAway = true;
  }

  #noteBack(): void {
    this.#log.info("Redis is back");
    this.#isAway = false;
  }
}
