import { ConnectionPool } from "#kit/wire/http2/connection-pool.ts";
import type { ClientStream, StreamListener } from "#kit/wire/http2/stream.ts";
import type { BackendAddress } from "../options.ts";
import { BackendHealth } from "./backend-health.ts";
import type { Call, CallListener, CallRequest, Failure, StreamSource } from "./call.ts";
import { UpstreamCall } from "./upstream-call.ts";

/** Bounds of the connection to one backend. */
export interface UpstreamOptions {
  readonly backend: BackendAddress;
  readonly maxInFlight: number;
  readonly maxSessions: number;
}

/**
 * One backend: its connections, how many calls it has, and whether it is worth asking. While it cannot be connected to, a call
 * waits for the next attempt once, then is unreachable.
 */
export class Upstream implements StreamSource {
  readonly options: UpstreamOptions;
  readonly health = new BackendHealth();
  readonly #pool: ConnectionPool;
  #inFlight = 0;

  constructor(options: UpstreamOptions) {
    this.options = options;
    this.#pool = new ConnectionPool(options.backend, {
      maxConnections: options.maxSessions,
      onStreamClosed: () => {
        this.#inFlight--;
      },
    });
  }

  /** Starts a call of any kind. */
  call(request: CallRequest, listener: CallListener): Call {
    return new UpstreamCall(this, request, listener);
  }

  /** Opens a raw stream, bounded by `maxInFlight`. */
  stream(headers: readonly string[], listener: StreamListener): ClientStream | Failure {
    if (this.#inFlight >= this.options.maxInFlight) return "overloaded";
    if (!this.health.admits()) return "resting";
    const stream = this.#pool.open(headers, listener);
    if (typeof stream !== "string") this.#inFlight++;
    return stream;
  }

  get backoffMs(): number {
    return this.#pool.backoffMs;
  }

  /** Lets calls in flight end, then closes. */
  close(): void {
    this.#pool.close();
  }
}
