import type { Socket } from "node:net";
import { FrameReceiver, maxHeaderListBytes } from "./frame-receiver.ts";
import { connectionFault, errorCode, Http2Error } from "./frames.ts";
import { Output } from "./output.ts";
import type { PeerAddress } from "./peer-address.ts";
import { defaultWindowBytes, settingId } from "./settings.ts";
import { openSocket } from "./socket.ts";
import { type ClientStream, type StreamListener, type StreamReset, streamWindowBytes } from "./stream.ts";
import { connectionWindowBytes, StreamTable } from "./stream-table.ts";

/** What a connection tells its pool. */
export interface ConnectionEvents {
  onConnected(): void;
  /** No further streams may be opened; `connected` tells whether it ever was. */
  onGone(connected: boolean): void;
  /** A stream is over. */
  onStreamClosed(): void;
}

/** How long a connection waits for what. */
export interface ConnectionTimes {
  /** Until it is there. */
  readonly connectMs: number;
  /** From then on until the peer's settings. */
  readonly settingsMs: number;
  /** Between pings, while there are streams. Enforcing peers (Go) allow one every 10 s. */
  readonly pingMs: number;
  /** Until the answer to a ping: with `pingMs`, dead peers are found within half a minute. */
  readonly pongMs: number;
}

const defaultTimes: ConnectionTimes = {
  connectMs: 2_000,
  settingsMs: 10_000,
  pingMs: 20_000,
  pongMs: 10_000,
};
// Answers to pings and settings that the peer does not read.
const maxUnreadBytes = 4 * 1024 * 1024;

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const pingPayload = Buffer.from("souk-h2c");
const anyStream = 0;

/** One HTTP/2 connection to a backend. It is being opened from the beginning; requests that come before it is there go with its first bytes. */
export class Http2Connection {
  readonly #events: ConnectionEvents;
  readonly #times: ConnectionTimes;
  readonly #socket: Socket;
  readonly #output = new Output(() => this.#checkUnread());
  readonly #streams: StreamTable;
  readonly #receiver: FrameReceiver;
  /** Why it is lost, if it is. */
  #reason = "the connection to the backend was lost";
  #connected = false;
  #leaving = false;
  #over = false;
  /** Until the peer has connected, then until it has sent its settings. */
  #late: NodeJS.Timeout;
  #pings: NodeJS.Timeout | undefined;
  #pong: NodeJS.Timeout | undefined;

  constructor(backend: PeerAddress, events: ConnectionEvents, times = defaultTimes) {
    this.#events = events;
    this.#times = times;
    const { protocol, host } = new URL(backend.address);
    const base = [":method", "POST", ":scheme", protocol.slice(0, -1), ":authority", host];
    this.#streams = new StreamTable(this.#output, base, () => this.#onStreamClosed());
    this.#receiver = this.#createReceiver();
    this.#greet();
    this.#late = setTimeout(() => this.#socket.destroy(), times.connectMs);
    this.#socket = openSocket(backend, {
      onConnected: () => this.#onConnected(),
      onBytes: (bytes) => this.#read(bytes),
      onDrain: () => this.#streams.pumpWaiting(),
      onClosed: () => this.#end(),
    });
  }

  /** Whether it ever reached the backend. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Streams in use by the number the peer allows. */
  get load(): number {
    return this.#streams.count / Math.max(1, Math.min(this.#streams.maxConcurrentStreams, 1_000));
  }

  /** Opens a stream with these header fields (names and values in turn); undefined where there can be no more. */
  open(fields: readonly string[], listener: StreamListener): ClientStream | undefined {
    return this.#leaving ? undefined : this.#streams.open(fields, listener);
  }

  /** Lets open streams end, then closes. */
  close(): void {
    this.#leave();
    if (this.#streams.count === 0) this.#hangUp(errorCode.none);
  }

  #greet(): void {
    this.#output.reserve(preface.length);
    this.#output.buffer.set(preface, this.#output.at);
    this.#output.at += preface.length;
    this.#output.settings([
      [settingId.enablePush, 0],
      [settingId.initialWindowSize, streamWindowBytes],
      [settingId.maxHeaderListSize, maxHeaderListBytes],
    ]);
    this.#output.windowUpdate(0, connectionWindowBytes - defaultWindowBytes);
  }

  #onConnected(): void {
    this.#connected = true;
    clearTimeout(this.#late);
    this.#late = setTimeout(
      () => this.#fail(connectionFault("settingsTimeout", "the peer sends no settings")),
      this.#times.settingsMs,
    );
    this.#late.unref();
    this.#pings = setInterval(() => this.#ping(), this.#times.pingMs);
    this.#pings.unref();
    // A process is kept alive by the deadlines of its calls, not by the connections they are on.
    this.#socket.unref();
    this.#output.open(this.#socket);
    this.#events.onConnected();
  }

  #createReceiver(): FrameReceiver {
    const streams = this.#streams;
    const isOpen = () => !this.#over;
    return new FrameReceiver({
      get isOpen() {
        return isOpen();
      },
      onHeaders: (streamId, list, isEnd) => streams.find(streamId)?.takeHeaders(list, isEnd),
      onData: (streamId, bytes, windowBytes, isEnd) => {
        const stream = streams.find(streamId);
        streams.receive(windowBytes);
        if (stream === undefined) streams.consumed(windowBytes);
        else stream.takeData(bytes, windowBytes, isEnd);
      },
      onReset: (streamId, code) =>
        streams.find(streamId)?.lose({
          code,
          unseen: code === errorCode.refusedStream,
          unconnected: false,
          reason: `the backend reset the stream (${code})`,
        }),
      onSettings: (settings, windowGrowth) => {
        clearTimeout(this.#late);
        this.#output.settingsAck();
        streams.apply(settings, windowGrowth);
      },
      onPing: (payload, isAck) => {
        if (isAck) this.#onPong();
        else this.#output.ping(payload, true);
      },
      onGoaway: (lastStreamId, code) => {
        this.#leave();
        streams.loseAfter(lastStreamId, unseenReset(`the backend sends its callers away (${code})`));
      },
      onWindowUpdate: (streamId, bytes) => streams.grow(streamId, bytes),
      onStreamFault: ({ streamId, code, message }) => {
        const stream = streams.find(streamId);
        if (stream === undefined) return;
        this.#output.reset(streamId, code);
        stream.lose({ code, unseen: false, unconnected: false, reason: broken(message) });
      },
    });
  }

  #read(bytes: Buffer): void {
    if (this.#over) return;
    try {
      this.#receiver.read(bytes);
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.#fail(error);
    }
  }

  #ping(): void {
    if (this.#streams.count === 0 || this.#pong !== undefined) return;
    this.#pong = setTimeout(() => this.#giveUp("the backend answers no ping"), this.#times.pongMs);
    this.#pong.unref();
    this.#output.ping(pingPayload, false);
  }

  #onPong(): void {
    clearTimeout(this.#pong);
    this.#pong = undefined;
  }

  #checkUnread(): void {
    if (this.#output.waiting > maxUnreadBytes) this.#giveUp("the backend asks and does not read");
  }

  #onStreamClosed(): void {
    this.#events.onStreamClosed();
    if (this.#leaving && this.#streams.count === 0) this.#hangUp(errorCode.none);
  }

  #giveUp(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }

  /** Opens no more streams. */
  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#events.onGone(this.#connected);
    this.#streams.refuseNew({ ...unseenReset(this.#reason), unconnected: !this.#connected });
  }

  #fail({ code, message }: Http2Error): void {
    this.#reason = broken(message);
    this.#hangUp(code);
  }

  /** Tells the peer why, and ends the connection. */
  #hangUp(code: number): void {
    if (this.#over) return;
    this.#output.goaway(code);
    this.#output.flush();
    this.#socket.destroySoon();
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#late);
    clearTimeout(this.#pong);
    clearInterval(this.#pings);
    this.#output.close();
    this.#leave();
    const unseen = !this.#connected;
    this.#streams.loseAfter(anyStream, { code: 0, unseen, unconnected: unseen, reason: this.#reason });
  }
}

function unseenReset(reason: string): StreamReset {
  return { code: 0, unseen: true, unconnected: false, reason };
}

function broken(what: string): string {
  return `the backend breaks HTTP/2: ${what}`;
}
