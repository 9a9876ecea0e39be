import type { BackendAddress } from "../options.ts";
import { BackendHealth } from "./backend-health.ts";
import type { Call, CallListener, CallRequest, Failure, StreamSource } from "./call.ts";
import { Http2Connection } from "./http2/connection.ts";
import type { ClientStream, StreamListener } from "./http2/stream.ts";
import { UpstreamCall } from "./upstream-call.ts";

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
 * The connections to one backend: a few of HTTP/2, opened as streams fill them and reopened with backoff after a
 * loss. During the backoff it has no stream to give: a call waits for the end of the backoff once, then is unreachable.
 */
export class Upstream implements StreamSource {
  readonly options: UpstreamOptions;
  readonly health = new BackendHealth();
  #connections: Http2Connection[] = [];
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
  stream(headers: readonly string[], listener: StreamListener): ClientStream | Failure {
    if (this.#inFlight >= this.options.maxInFlight) return "overloaded";
    if (!this.health.admits()) return "resting";
    const connection = this.#pick();
    if (connection === undefined) return "unreachable";
    const stream = connection.open(headers, listener);
    if (stream === undefined) return "overloaded";
    this.#inFlight++;
    return stream;
  }

  get backoffMs(): number {
    return Math.max(0, this.#retryAtMs - Date.now());
  }

  /** Lets calls in flight end, then closes. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
    this.#connections = [];
  }

  #pick(): Http2Connection | undefined {
    let best: Http2Connection | undefined;
    for (const connection of this.#connections) {
      if (best === undefined || connection.load < best.load) best = connection;
    }
    const full = best !== undefined && best.load >= 0.8;
    if (best !== undefined && !(full && this.#connections.length < this.options.maxSessions)) return best;
    if (this.#closed || this.backoffMs > 0) return best;
    return this.#open();
  }

  #open(): Http2Connection {
    const connection = new Http2Connection(this.options.backend, {
      onConnected: () => {
        this.#failures = 0;
      },
      onGone: (connected) => {
        this.#connections = this.#connections.filter((other) => other !== connection);
        if (!connected) this.#backOff();
      },
      onStreamClosed: () => {
        this.#inFlight--;
      },
    });
    this.#connections.push(connection);
    return connection;
  }

  #backOff(): void {
    const ceilingMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** this.#failures++);
    this.#retryAtMs = Date.now() + ceilingMs * (0.5 + Math.random() / 2);
  }
}
