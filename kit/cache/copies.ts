/** Copies at most; what is one too many drops them all, which costs each a question to Redis. */
const maxCopies = 1_000;

interface Copy {
  readonly value: unknown;
  readonly endsAtMs: number;
}

/** Values as this process has just seen them in Redis, for those who may be told by it alone for a moment. */
export class Copies {
  readonly #held = new Map<string, Copy>();
  #invalidations = 0;

  /** Undefined where there is none that still counts. */
  get(key: string): unknown {
    const copy = this.#held.get(key);
    return copy && performance.now() < copy.endsAtMs ? copy.value : undefined;
  }

  /**
   * To be called before values are read: they count from then on, for `copyMs`. What it returns copies a value, unless something
   * was invalidated meanwhile: nobody knows whether it was read before or after.
   */
  begin(copyMs: number): (key: string, value: unknown) => void {
    const before = this.#invalidations;
    const endsAtMs = performance.now() + copyMs;
    return (key, value) => {
      if (copyMs === 0 || before !== this.#invalidations) return;
      if (this.#held.size >= maxCopies) this.#held.clear();
      this.#held.set(key, { value, endsAtMs });
    };
  }

  forget(keys: readonly string[]): void {
    this.#invalidations += 1;
    for (const key of keys) this.#held.delete(key);
  }
}
