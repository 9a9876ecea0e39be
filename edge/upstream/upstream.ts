import type { BackendAddress } from "../options.ts";
import { BackendHealth } from "./backend-health.ts";
import type { Call, CallListener, CallRequest, Failure, OpenedStream, StreamSource } from "./call.ts";
import { UpstreamCall } from "./upstream-call.ts";
import { UpstreamSession } from "./upstream-session.ts";

/** Bounds of the connection to one backend. */
export interface UpstreamOptions {
  readonly backend: BackendAddress;
  readonly maxInFlight: number;
  readonly maxSessions: number;
}

const firstBackoffMs = 20;
// A restarted backend is found again within this time plus a connect.
const maxBackoffMs = 500;

/**
 * The connections to one backend: a few HTTP/2 sessions, opened as streams fill them and reopened with backoff after a
 * loss. During the backoff it has no stream to give: a call waits for the end of the backoff once, then is unreachable.
 */
export class Upstream implements StreamSource {
  readonly options: UpstreamOptions;
  readonly health = new BackendHealth();
  #sessions: UpstreamSession[] = [];
  #inFlight = 0;
  #failures = 0;
  #retryAtMs = 0;
  #closed = false;

  constructor(options: UpstreamOptions) {
    this.options = options;
  }

  /** Starts a call of any kind. */
  call(request: CallRequest, listener: CallListener): Call {
    return new UpstreamCall(this, request, listener);
  }

  /** Opens a raw stream, bounded by `maxInFlight`. */
  stream(headers: readonly string[]): OpenedStream | Failure {
    if (this.#inFlight >= this.options.maxInFlight) return "overloaded";
    if (!this.health.admits()) return "resting";
    const session = this.#pick();
    if (session === undefined) return "unreachable";
    const stream = session.request(headers);
    if (stream === undefined) return "unreachable";
    this.#inFlight++;
    stream.once("close", () => this.#inFlight--);
    return { stream, session };
  }

  get backoffMs(): number {
    return Math.max(0, this.#retryAtMs - Date.now());
  }

  /** Lets calls in flight end, then closes. */
  close(): void {
    this.#closed = true;
    for (const session of this.#sessions) session.close();
    this.#sessions = [];
  }

  #pick(): UpstreamSession | undefined {
    let best: UpstreamSession | undefined;
    for (const session of this.#sessions) {
      if (best === undefined || session.load < best.load) best = session;
    }
    const full = best !== undefined && best.load >= 0.8;
    if (best !== undefined && !(full && this.#sessions.length < this.options.maxSessions)) return best;
    if (this.#closed || this.backoffMs > 0) return best;
    return this.#open();
  }

  #open(): UpstreamSession {
    const session = new UpstreamSession(this.options.backend, {
      onConnected: () => {
        this.#failures = 0;
      },
      onGone: (connected) => {
        this.#sessions = this.#sessions.filter((other) => other !== session);
        if (!connected) this.#backOff();
      },
    });
    this.#sessions.push(session);
    return session;
  }

  #backOff(): void {
    const ceilingMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** this.#failures++);
    this.#retryAtMs = Date.now() + ceilingMs * (0.5 + Math.random() / 2);
  }
}
