/** What is being written to a caller: a socket of HTTP/1.1, or a stream of HTTP/2. */
export interface WatchedWrite {
  /** Bytes that wait to be taken. */
  readonly writableLength: number;
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

const checkIntervalMs = 1_000;

interface Pending {
  bytes: number;
  sinceMs: number;
}

/** Cuts off callers who ask and then do not read: whatever waits for one of them unchanged for `timeoutMs` is destroyed. */
export class StalledWrites {
  readonly #timeoutMs: number;
  readonly #watched = new Map<WatchedWrite, Pending>();
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setInterval(() => this.#check(), Math.min(checkIntervalMs, timeoutMs));
    this.#timer.unref();
  }

  watch(write: WatchedWrite): void {
    this.#watched.set(write, { bytes: 0, sinceMs: 0 });
    write.once("close", () => this.#watched.delete(write));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const nowMs = performance.now();
    for (const [write, pending] of this.#watched) {
      const bytes = write.writableLength;
      if (bytes === 0 || bytes !== pending.bytes) {
        pending.bytes = bytes;
        pending.sinceMs = nowMs;
      } else if (nowMs - pending.sinceMs >= this.#timeoutMs) write.destroy();
    }
  }
}
