import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import { backoffMs, type Deadline, deadlineIn, delay } from "#kit/time/time.ts";
import { CredentialsRefused, type Granted } from "./request-token.ts";

const backoff = { baseMs: 100, maxMs: 1_000 };
const attemptTimeoutMs = 2_000;
const renewalBudgetMs = 5_000;
// After a renewal that failed while the token is still good.
const restAfterFailureMs = 1_000;

/** A token that is renewed in time; one request at a time, however many ask. */
export class RenewedToken {
  readonly #request: (signal: AbortSignal) => Promise<Granted>;
  readonly #closing = new AbortController();
  #token = "";
  #renewAtMs = 0;
  #endsAtMs = 0;
  #renewal: Promise<string> | undefined;

  constructor(request: (signal: AbortSignal) => Promise<Granted>) {
    this.#request = request;
  }

  // The clock on the wall, because a laptop that slept must not send a token that ended meanwhile.
  current(): string | Promise<string> {
    const now = Date.now();
    const isGood = now < this.#endsAtMs;
    if (isGood && now < this.#renewAtMs) return this.#token;
    this.#renewal ??= this.#renew();
    if (!isGood) return this.#renewal;
    // Nobody waits for it; the next caller after the rest tries again.
    this.#renewal.catch(() => undefined);
    return this.#token;
  }

  close(): void {
    this.#closing.abort();
  }

  async #renew(): Promise<string> {
    try {
      const { token, lifeMs } = await requestUntil(
        deadlineIn(renewalBudgetMs),
        this.#request,
        this.#closing.signal,
      );
      const now = Date.now();
      this.#token = token;
      this.#renewAtMs = now + (lifeMs * 2) / 3;
      // A token must not end on its way to whoever checks it.
      this.#endsAtMs = now + lifeMs * 0.9;
      return token;
    } catch (cause) {
      this.#renewAtMs = Date.now() + restAfterFailureMs;
      throw tokenUnavailable(cause);
    } finally {
      this.#renewal = undefined;
    }
  }
}

async function requestUntil(
  deadline: Deadline,
  request: (signal: AbortSignal) => Promise<Granted>,
  closing: AbortSignal,
): Promise<Granted> {
  for (let attempt = 1; ; attempt++) {
    closing.throwIfAborted();
    try {
      return await request(AbortSignal.any([closing, AbortSignal.timeout(attemptTimeoutMs)]));
    } catch (error) {
      const waitMs = backoffMs(attempt, backoff);
      if (error instanceof CredentialsRefused || deadline.remainingMs() <= waitMs) throw error;
      await delay(waitMs, closing);
    }
  }
}

function tokenUnavailable(cause: unknown): ServiceError {
  const message = "The service cannot prove who it is right now; try again.";
  return serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, message, { cause });
}
