import { FrameParser } from "./frame-parser.ts";
import {
  connectionFault,
  flag,
  frameType,
  Http2Error,
  maxUint31,
  readUint32,
  streamFault,
} from "./frames.ts";
import { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { PeerSettings } from "./settings.ts";

/** What frames mean. Buffers are lent for the time of a call. */
export interface FrameListener {
  onHeaders(streamId: number, list: HeaderList, isEnd: boolean): void;
  /** `windowBytes` is the data with its padding. */
  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void;
  onReset(streamId: number, code: number): void;
  onSettings(settings: PeerSettings, windowGrowth: number): void;
  onPing(payload: Buffer, isAck: boolean): void;
  onGoaway(lastStreamId: number, code: number): void;
  onWindowUpdate(streamId: number, bytes: number): void;
  /** A fault that ends one stream; what follows in the connection counts. */
  onStreamFault(fault: Http2Error): void;
  /** Whether to go on reading. */
  readonly isOpen: boolean;
}

/** The header list of an answer, as long as node:http2 took it. */
export const maxHeaderListBytes = 64 * 1024;
// What is compressed is smaller than what it unfolds to, but for a few bytes.
const maxBlockBytes = 2 * maxHeaderListBytes;
/** Frames that bring nothing (pings, settings, empty data …) in a row before they are a flood. */
const maxIdleFrames = 1_000;
const idleFramesPerMs = 1;

interface HeaderBlock {
  readonly streamId: number;
  readonly isEnd: boolean;
  readonly parts: Buffer[];
  bytes: number;
}

/** Reads a server's side of a connection; throws an {@link Http2Error} for what breaks the protocol, or is meant to exhaust us. */
export class FrameReceiver {
  readonly #listener: FrameListener;
  readonly #parser = new FrameParser((type, flags, streamId, bytes, start, end) => {
    try {
      this.#take(type, flags, streamId, bytes, start, end);
    } catch (error) {
      if (!(error instanceof Http2Error) || error.streamId === 0) throw error;
      this.#listener.onStreamFault(error);
    }
    return this.#listener.isOpen;
  });
  readonly #decoder = new HpackDecoder();
  readonly #settings = new PeerSettings();
  /** A header block that goes on in CONTINUATION frames. */
  #block: HeaderBlock | undefined;
  #hasSettings = false;
  #idleFrames = 0;
  #idleSinceMs = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** Takes the next bytes of the connection, which are lent. */
  read(bytes: Buffer): void {
    this.#parser.read(bytes);
  }

  #take(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#hasSettings && (type !== frameType.settings || (flags & flag.ack) !== 0))
      throw connectionFault("protocol", "the peer does not begin with SETTINGS");
    if (this.#block !== undefined && (type !== frameType.continuation || streamId !== this.#block.streamId))
      throw connectionFault("protocol", "a header block is interrupted");
    switch (type) {
      case frameType.data:
        this.#takeData(flags, streamId, bytes, start, end);
        break;
      case frameType.headers:
        this.#takeHeaders(flags, streamId, bytes, start, end);
        break;
      case frameType.continuation:
        this.#takeContinuation(flags, bytes, start, end);
        break;
      case frameType.windowUpdate:
        this.#takeWindowUpdate(streamId, bytes, start, end);
        break;
      case frameType.reset:
        if (streamId === 0) throw misplaced("RST_STREAM");
        checkLength(end - start, 4);
        this.#listener.onReset(streamId, readUint32(bytes, start));
        break;
      case frameType.pushPromise:
        throw connectionFault("protocol", "the peer pushes");
      default:
        this.#takeIdle(type, flags, streamId, bytes, start, end);
    }
  }

  /** What neither asks nor answers anything. */
  #takeIdle(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#countIdle();
    switch (type) {
      case frameType.settings:
        this.#takeSettings(flags, streamId, bytes, start, end);
        break;
      case frameType.ping:
        if (streamId !== 0) throw misplaced("PING");
        checkLength(end - start, 8);
        this.#listener.onPing(bytes.subarray(start, end), (flags & flag.ack) !== 0);
        break;
      case frameType.goaway:
        if (streamId !== 0) throw misplaced("GOAWAY");
        if (end - start < 8) throw connectionFault("frameSize", "GOAWAY is too short");
        this.#listener.onGoaway(readUint32(bytes, start) & maxUint31, readUint32(bytes, start + 4));
        break;
      case frameType.priority:
        if (streamId === 0) throw misplaced("PRIORITY");
        if (end - start !== 5) throw streamFault("frameSize", streamId, "PRIORITY of another length");
        break;
      default:
      // What is not known is to be ignored.
    }
  }

  #takeData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw misplaced("DATA");
    const isEnd = (flags & flag.endStream) !== 0;
    if (end === start && !isEnd) this.#countIdle();
    else this.#idleFrames = 0;
    const { from, to } = unpadded(flags, bytes, start, end);
    this.#listener.onData(streamId, bytes.subarray(from, to), end - start, isEnd);
  }

  #takeHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw misplaced("HEADERS");
    this.#idleFrames = 0;
    const { from, to } = unpadded(flags, bytes, start, end);
    const first = (flags & flag.priority) === 0 ? from : from + 5;
    if (first > to) throw connectionFault("frameSize", "HEADERS is too short");
    const isEnd = (flags & flag.endStream) !== 0;
    if ((flags & flag.endHeaders) !== 0) this.#decode(streamId, isEnd, bytes, first, to);
    else
      this.#block = { streamId, isEnd, parts: [Buffer.from(bytes.subarray(first, to))], bytes: to - first };
  }

  #takeContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined) throw misplaced("CONTINUATION");
    this.#countIdle();
    block.bytes += end - start;
    if (block.bytes > maxBlockBytes) throw connectionFault("enhanceYourCalm", "a header block without end");
    block.parts.push(Buffer.from(bytes.subarray(start, end)));
    if ((flags & flag.endHeaders) === 0) return;
    this.#block = undefined;
    this.#decode(block.streamId, block.isEnd, Buffer.concat(block.parts, block.bytes), 0, block.bytes);
  }

  /** Every block is decoded, also of streams that are gone: the table is the connection's. */
  #decode(streamId: number, isEnd: boolean, bytes: Buffer, start: number, end: number): void {
    const list = new HeaderList(maxHeaderListBytes);
    this.#decoder.decode(bytes, start, end, list);
    this.#listener.onHeaders(streamId, list, isEnd);
  }

  #takeSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw misplaced("SETTINGS");
    if ((flags & flag.ack) !== 0) {
      checkLength(end - start, 0);
      return;
    }
    this.#hasSettings = true;
    const windowBefore = this.#settings.initialWindowBytes;
    this.#settings.apply(bytes, start, end);
    this.#listener.onSettings(this.#settings, this.#settings.initialWindowBytes - windowBefore);
  }

  #takeWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    checkLength(end - start, 4);
    const growth = readUint32(bytes, start) & maxUint31;
    if (growth === 0) throw streamFault("protocol", streamId, "a window grows by nothing");
    this.#listener.onWindowUpdate(streamId, growth);
  }

  #countIdle(): void {
    if (this.#idleFrames === 0) this.#idleSinceMs = performance.now();
    if (++this.#idleFrames <= maxIdleFrames) return;
    const allowed = maxIdleFrames + (performance.now() - this.#idleSinceMs) * idleFramesPerMs;
    if (this.#idleFrames > allowed) throw connectionFault("enhanceYourCalm", "a flood of frames");
  }
}

function unpadded(flags: number, bytes: Buffer, start: number, end: number): { from: number; to: number } {
  if ((flags & flag.padded) === 0) return { from: start, to: end };
  const to = end - (bytes[start] ?? 0);
  if (start >= end) throw connectionFault("frameSize", "a padded frame is empty");
  if (to <= start) throw connectionFault("protocol", "more padding than frame");
  return { from: start + 1, to };
}

function checkLength(length: number, right: number): void {
  if (length !== right) throw connectionFault("frameSize", `a frame of ${length} bytes instead of ${right}`);
}

function misplaced(name: string) {
  return connectionFault("protocol", `${name} on a stream where it cannot be`);
}
