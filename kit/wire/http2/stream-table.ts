import {
  connectionFault,
  flag,
  frameType,
  headBytes,
  maxFrameBytes,
  maxUint31,
  streamFault,
  writeHead,
} from "./frames.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { OpenStreams } from "./open-streams.ts";
import type { Output } from "./output.ts";
import { defaultWindowBytes, type PeerSettings } from "./settings.ts";
import { ClientStream, type StreamCarrier, type StreamListener, type StreamReset } from "./stream.ts";
import { ReceiveWindow, SendWindow } from "./windows.ts";

/** The window of a connection: what all its streams together may have sent to callers who do not read. */
export const connectionWindowBytes = 16 * 1024 * 1024;
// More waiting for the peer to read than this, and streams wait too.
const maxWaitingBytes = 1024 * 1024;
const assumedStreams = 100;
/** Requests that wait for the peer to allow more streams; who comes later is told that the backend is overloaded. */
export const maxQueuedStreams = 1_000;

/** The streams of one connection: ids, windows, and who waits for what. */
export class StreamTable implements StreamCarrier {
  readonly output: Output;
  readonly #base: readonly string[];
  readonly #onClosed: () => void;
  readonly #encoder = new HpackEncoder();
  readonly #streams = new OpenStreams();
  /** Requests that have not been sent: the peer allows no more streams, or does not read. */
  readonly #queue = new Map<ClientStream, readonly string[]>();
  /** Streams with data that the connection did not take. */
  readonly #waiting = new Set<ClientStream>();
  readonly #sendWindow = new SendWindow();
  readonly #receiveWindow = new ReceiveWindow(connectionWindowBytes);
  /** Undefined until the peer has sent them: before, it is asked nothing, so that it has nothing to refuse. */
  #settings: Readonly<PeerSettings> | undefined;
  #nextId = 1;
  #accepts = true;

  /** `base` are the fields with which every request begins; `onClosed` is told of each stream that is over. */
  constructor(output: Output, base: readonly string[], onClosed: () => void) {
    this.output = output;
    this.#base = base;
    this.#onClosed = onClosed;
  }

  /** Streams in use, queued ones included. */
  get count(): number {
    return this.#streams.size + this.#queue.size;
  }

  /** Streams that the peer allows; as many as RFC 9113 recommends as the least, before it has said so. */
  get maxConcurrentStreams(): number {
    return this.#settings?.maxConcurrentStreams ?? assumedStreams;
  }

  get maxFrameBytes(): number {
    return this.#settings?.maxFrameBytes ?? maxFrameBytes;
  }

  get sendableBytes(): number {
    return Math.min(this.#sendWindow.bytes, maxWaitingBytes - this.output.waiting);
  }

  /** Opens a stream with these fields after the base; undefined where there can be no more. */
  open(fields: readonly string[], listener: StreamListener): ClientStream | undefined {
    if (!this.#accepts || this.#nextId > maxUint31 || this.#queue.size >= maxQueuedStreams) return undefined;
    const stream = new ClientStream(this, listener);
    if (this.#queue.size === 0 && this.#hasRoom()) this.#begin(stream, fields);
    else this.#queue.set(stream, fields);
    return stream;
  }

  /** The stream of a frame; undefined for one that is over. Throws where there never was one. */
  find(streamId: number): ClientStream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined && (streamId % 2 === 0 || streamId >= this.#nextId))
      throw connectionFault("protocol", "a frame for a stream that nobody opened");
    return stream;
  }

  /** Counts data that has come, of whatever stream. */
  receive(bytes: number): void {
    if (!this.#receiveWindow.receive(bytes))
      throw connectionFault("flowControl", "more data than the connection's window");
  }

  consumed(bytes: number): void {
    const back = this.#receiveWindow.consume(bytes);
    if (back > 0) this.output.windowUpdate(0, back);
  }

  sent(bytes: number): void {
    this.#sendWindow.bytes -= bytes;
  }

  waits(stream: ClientStream): void {
    this.#waiting.add(stream);
  }

  closed(stream: ClientStream): void {
    this.#waiting.delete(stream);
    if (!this.#queue.delete(stream)) this.#streams.delete(stream);
    this.#onClosed();
    if (this.#queue.size > 0) this.#beginQueued();
  }

  /** Follows the peer's settings. */
  apply(settings: Readonly<PeerSettings>, windowGrowth: number): void {
    this.#settings = settings;
    this.#encoder.limit(settings.headerTableBytes);
    if (windowGrowth !== 0)
      for (const stream of this.#streams.all()) {
        if (!stream.sendWindow.grow(windowGrowth))
          throw connectionFault("flowControl", "a window of more than 31 bits");
        stream.pump();
      }
    this.#beginQueued();
  }

  /** The peer takes more of one stream, or, for 0, of the connection. */
  grow(streamId: number, bytes: number): void {
    if (streamId === 0) {
      if (!this.#sendWindow.grow(bytes))
        throw connectionFault("flowControl", "a window of more than 31 bits");
      this.pumpWaiting();
      return;
    }
    const stream = this.find(streamId);
    if (stream === undefined) return;
    if (!stream.sendWindow.grow(bytes))
      throw streamFault("flowControl", streamId, "a window of more than 31 bits");
    stream.pump();
  }

  /** Goes on with what waited, each stream in its turn. */
  pumpWaiting(): void {
    while (this.#waiting.size > 0 && this.sendableBytes > 0) {
      const stream = this.#waiting.values().next().value as ClientStream;
      this.#waiting.delete(stream);
      stream.pump();
    }
    this.#beginQueued();
  }

  /** Opens no more streams, and loses those that have not been sent. */
  refuseNew(reset: StreamReset): void {
    this.#accepts = false;
    for (const stream of [...this.#queue.keys()]) stream.lose(reset);
  }

  /** Ends streams after one, or all. */
  loseAfter(streamId: number, reset: StreamReset): void {
    for (const stream of this.#streams.all()) if (stream.id > streamId) stream.lose(reset);
  }

  #hasRoom(): boolean {
    if (this.#settings === undefined || this.output.waiting >= maxWaitingBytes) return false;
    return this.#streams.size < this.#settings.maxConcurrentStreams;
  }

  #beginQueued(): void {
    while (this.#queue.size > 0 && this.#accepts && this.#hasRoom()) {
      const [stream, fields] = this.#queue.entries().next().value as [ClientStream, readonly string[]];
      this.#queue.delete(stream);
      this.#begin(stream, fields);
      stream.pump();
    }
  }

  #begin(stream: ClientStream, fields: readonly string[]): void {
    stream.id = this.#nextId;
    this.#nextId += 2;
    stream.sendWindow.bytes = this.#settings?.initialWindowBytes ?? defaultWindowBytes;
    this.#streams.add(stream);
    const { output } = this;
    output.reserve(headBytes + HpackEncoder.mostBytes(this.#base) + HpackEncoder.mostBytes(fields));
    const { at } = output;
    output.at += headBytes;
    this.#encoder.encode(this.#base, output);
    this.#encoder.encode(fields, output);
    const length = output.at - at - headBytes;
    if (length > this.maxFrameBytes) this.#split(stream.id, at);
    else
      writeHead(output.buffer, at, {
        type: frameType.headers,
        flags: flag.endHeaders,
        streamId: stream.id,
        length,
      });
  }

  /** A header block that is larger than a frame, written anew in several. */
  #split(streamId: number, at: number): void {
    const { output, maxFrameBytes } = this;
    const block = Buffer.from(output.buffer.subarray(at + headBytes, output.at));
    output.at = at;
    for (let start = 0; start < block.length; start += maxFrameBytes) {
      const end = Math.min(block.length, start + maxFrameBytes);
      const type = start === 0 ? frameType.headers : frameType.continuation;
      output.frame(type, end === block.length ? flag.endHeaders : 0, streamId, block.subarray(start, end));
    }
  }
}
