/** What is being written to a caller: a socket of HTTP/1.1, or a stream of HTTP/2. */
export interface WatchedWrite {
  /** Bytes that wait to be taken. */
  readonly writableLength: number;
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

const checkIntervalMs = 1_000;

interface Watched {
  readonly write: WatchedWrite;
  /** Where it stands in the list. */
  at: number;
  bytes: number;
  sinceMs: number;
}

/** Cuts off callers who ask and then do not read: whatever waits for one of them unchanged for `timeoutMs` is destroyed. */
export class StalledWrites {
  readonly #timeoutMs: number;
  /** No map: each version of one would keep the next alive, and all that writes hold, once it has grown old. */
  readonly #watched: Watched[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setInterval(() => this.#check(), Math.min(checkIntervalMs, timeoutMs));
    this.#timer.unref();
  }

  watch(write: WatchedWrite): void {
    const watched = { write, at: this.#watched.length, bytes: 0, sinceMs: 0 };
    this.#watched.push(watched);
    write.once("close", () => this.#forget(watched));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #forget({ at }: Watched): void {
    const last = this.#watched.pop() as Watched;
    if (last.at === at) return;
    last.at = at;
    this.#watched[at] = last;
  }

  #check(): void {
    const nowMs = performance.now();
    // A copy: who is destroyed may leave at once.
    for (const watched of [...this.#watched]) {
      const bytes = watched.write.writableLength;
      if (bytes === 0 || bytes !== watched.bytes) {
        watched.bytes = bytes;
        watched.sinceMs = nowMs;
      } else if (nowMs - watched.sinceMs >= this.#timeoutMs) watched.write.destroy();
    }
  }
}
