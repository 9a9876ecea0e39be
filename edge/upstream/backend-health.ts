/** Failures in a row after which a backend is left alone: fewer may be one bad moment, more are calls wasted. */
const failuresUntilRest = 20;
/**
 * While it rests, one call at a time is sent ahead this often, to see whether it has recovered. Ten a second burden nobody, and the
 * backend's own breakers, which let fewer through, see each of their chances used.
 */
const restMs = 100;

/** Retries at hand after a quiet time. */
const maxRetryTokens = 10;
/** What each success adds: in the long run one retry for ten calls, so that retries cannot double the load of a backend in trouble. */
const retryTokensPerSuccess = 0.1;

/** What is known of one backend: whether it is worth asking, and how often it may still be asked again. */
export class BackendHealth {
  #failures = 0;
  #nextProbeMs = 0;
  #retryTokens = maxRetryTokens;

  /** Time until the next call is sent ahead; 0 while the backend does not rest. */
  get restsMs(): number {
    return this.#failures < failuresUntilRest ? 0 : Math.max(0, this.#nextProbeMs - performance.now());
  }

  /** Whether a call may be sent now. */
  admits(): boolean {
    if (this.#failures < failuresUntilRest) return true;
    const nowMs = performance.now();
    if (nowMs < this.#nextProbeMs) return false;
    this.#nextProbeMs = nowMs + restMs;
    return true;
  }

  /** A call was answered, be it with a refusal. */
  succeeded(): void {
    this.#failures = 0;
    this.#retryTokens = Math.min(maxRetryTokens, this.#retryTokens + retryTokensPerSuccess);
  }

  /** A call was lost, could not be sent, or was answered UNAVAILABLE. */
  failed(): void {
    if (++this.#failures === failuresUntilRest) this.#nextProbeMs = performance.now() + restMs;
  }

  /** Takes the right to one retry; false when there is none left. */
  takeRetry(): boolean {
    if (this.#retryTokens < 1) return false;
    this.#retryTokens -= 1;
    return true;
  }
}
