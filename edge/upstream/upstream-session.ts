import http2 from "node:http2";
import type { SecureContextOptions } from "node:tls";
import type { BackendAddress } from "../options.ts";

/** What a session tells its pool. */
export interface SessionEvents {
  onConnected(): void;
  /** No further calls may use it; `connected` tells whether it ever was. */
  onGone(connected: boolean): void;
}

const connectTimeoutMs = 2_000;
// Enforcing peers (Go) allow pings from every 10 s when streams are open; dead peers are found within half a minute.
const pingIntervalMs = 20_000;
const pingTimeoutMs = 10_000;
const windowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;
// node:http2 resets streams with ENHANCE_YOUR_CALM at 10 MB by default; in-flight calls are bounded by the pool instead.
const maxSessionMemoryMegabytes = 1000;

/** One HTTP/2 connection to a backend. */
export class UpstreamSession {
  readonly #session: http2.ClientHttp2Session;
  readonly #base: readonly string[];
  readonly #events: SessionEvents;
  #streams = 0;
  #connected = false;
  #gone = false;
  #pings: NodeJS.Timeout | undefined;
  #connecting: NodeJS.Timeout;
  #lastStreamId = Number.MAX_SAFE_INTEGER;

  constructor(backend: BackendAddress, events: SessionEvents) {
    this.#events = events;
    const { protocol, host } = new URL(backend.address);
    this.#base = [":method", "POST", ":scheme", protocol.slice(0, -1), ":authority", host];
    this.#session = http2.connect(backend.address, {
      ...tlsOptions(backend),
      maxSessionMemory: maxSessionMemoryMegabytes,
      settings: { enablePush: false, initialWindowSize: windowBytes },
    });
    this.#connecting = setTimeout(() => this.#session.destroy(), connectTimeoutMs);
    this.#session.on("connect", () => this.#onConnect());
    this.#session.on("goaway", (_code, lastStreamId) => this.#onGoaway(lastStreamId));
    this.#session.on("close", () => this.#leave());
    // The streams carry the error to their calls.
    this.#session.on("error", () => this.#leave());
  }

  /** Whether it ever reached the backend. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Streams in use by the number the peer allows. */
  get load(): number {
    const allowed = this.#session.remoteSettings?.maxConcurrentStreams ?? 100;
    return this.#streams / Math.max(1, Math.min(allowed, 1000));
  }

  /** Whether the peer has said that it never looked at this stream. */
  ignored(streamId: number | undefined): boolean {
    return streamId === undefined || streamId > this.#lastStreamId;
  }

  /** Opens a stream; undefined when the session has just gone. */
  request(headers: readonly string[]): http2.ClientHttp2Stream | undefined {
    if (this.#gone || this.#session.destroyed || this.#session.closed) return undefined;
    const stream = this.#session.request([...this.#base, ...headers] as never);
    this.#streams++;
    stream.once("close", () => this.#streams--);
    return stream;
  }

  /** Lets open streams end, then closes. */
  close(): void {
    if (this.#streams === 0) this.#session.destroy();
    else this.#session.close();
  }

  #onConnect(): void {
    clearTimeout(this.#connecting);
    this.#connected = true;
    this.#session.setLocalWindowSize(connectionWindowBytes);
    this.#pings = setInterval(() => this.#ping(), pingIntervalMs);
    this.#pings.unref();
    // A process is kept alive by the deadlines of its calls, not by the connections they are on.
    this.#session.unref();
    this.#events.onConnected();
  }

  #ping(): void {
    if (this.#streams === 0 || this.#session.destroyed) return;
    const late = setTimeout(() => this.#session.destroy(), pingTimeoutMs);
    late.unref();
    this.#session.ping(() => clearTimeout(late));
  }

  #onGoaway(lastStreamId: number): void {
    this.#lastStreamId = lastStreamId;
    this.#leave();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#connecting);
    clearInterval(this.#pings);
    this.#events.onGone(this.#connected);
  }
}

function tlsOptions({ tls }: BackendAddress): SecureContextOptions & { servername?: string } {
  if (tls === undefined) return {};
  const { ca, cert, key, serverName } = tls;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}
