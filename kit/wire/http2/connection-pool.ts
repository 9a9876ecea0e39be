import { Http2Connection } from "./connection.ts";
import type { PeerAddress } from "./peer-address.ts";
import type { ClientStream, StreamListener } from "./stream.ts";

const firstBackoffMs = 20;
// A restarted peer is found again within this time plus a connect.
const maxBackoffMs = 500;
// A connection is as good as full from here on, and another is opened while there may be more.
const fullLoad = 0.8;

/** What a pool may do, and whom it tells. */
export interface PoolOptions {
  readonly maxConnections: number;
  /** A stream is over. */
  readonly onStreamClosed?: () => void;
}

/**
 * The connections to one peer: opened when first asked for a stream and as streams fill them, reopened with backoff after a loss.
 * During the backoff there is no stream to be had.
 */
export class ConnectionPool {
  readonly #peer: PeerAddress;
  readonly #options: PoolOptions;
  #connections: Http2Connection[] = [];
  #failures = 0;
  #retryAtMs = 0;
  #closed = false;

  constructor(peer: PeerAddress, options: PoolOptions) {
    this.#peer = peer;
    this.#options = options;
  }

  /** Time until the next attempt to connect; 0 where there is a connection, or one may be tried now. */
  get backoffMs(): number {
    return Math.max(0, this.#retryAtMs - Date.now());
  }

  /** Opens a stream with these header fields (names and values in turn), or says why there is none. */
  open(fields: readonly string[], listener: StreamListener): ClientStream | "unreachable" | "overloaded" {
    const connection = this.#pick();
    if (connection === undefined) return "unreachable";
    return connection.open(fields, listener) ?? "overloaded";
  }

  /** Lets open streams end, then closes. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#connections]) connection.close();
    this.#connections = [];
  }

  #pick(): Http2Connection | undefined {
    let best: Http2Connection | undefined;
    for (const connection of this.#connections) {
      if (best === undefined || connection.load < best.load) best = connection;
    }
    const full = best !== undefined && best.load >= fullLoad;
    if (best !== undefined && !(full && this.#connections.length < this.#options.maxConnections)) return best;
    if (this.#closed || this.backoffMs > 0) return best;
    return this.#connect();
  }

  #connect(): Http2Connection {
    const connection = new Http2Connection(this.#peer, {
      onConnected: () => {
        this.#failures = 0;
      },
      onGone: (connected) => {
        this.#connections = this.#connections.filter((other) => other !== connection);
        if (!connected) this.#backOff();
      },
      onStreamClosed: () => this.#options.onStreamClosed?.(),
    });
    this.#connections.push(connection);
    return connection;
  }

  #backOff(): void {
    const ceilingMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** this.#failures++);
    this.#retryAtMs = Date.now() + ceilingMs * (0.5 + Math.random() / 2);
  }
}
