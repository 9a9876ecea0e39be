import type { Writable } from "node:stream";
import { flag, frameType, headBytes, writeHead, writeUint32 } from "./frames.ts";
import { type Setting, settingBytes } from "./settings.ts";

const roomBytes = 64 * 1024;

/** Where bytes go; once it has taken all, `writableLength` is 0. */
export type Sink = Pick<Writable, "write" | "writableLength">;

/**
 * Frames on their way to the peer. Whatever is written within one turn of the event loop leaves together, at its end, in one write: a
 * system call costs more than all else that is done for a small call.
 */
export class Output {
  readonly #onFlush: () => void;
  #sink: Sink | undefined;
  #bytes: Buffer = Buffer.allocUnsafeSlow(roomBytes);
  /** What lies between was written here, but not to the sink. */
  #start = 0;
  #at = 0;
  #scheduled = false;
  readonly #flushLater = () => {
    this.#scheduled = false;
    this.flush();
  };

  /** `onFlush` is called before each write at a turn's end: for what can wait until then, and for bounds. */
  constructor(onFlush: () => void) {
    this.#onFlush = onFlush;
  }

  /** Bytes that wait for the peer to read. */
  get waiting(): number {
    return this.#at - this.#start + (this.#sink?.writableLength ?? 0);
  }

  /** Opens the way; what was written before goes first. */
  open(sink: Sink): void {
    this.#sink = sink;
    this.flush();
  }

  /** Drops what has not left. */
  close(): void {
    this.#sink = undefined;
    this.#start = this.#at = 0;
  }

  /** The buffer to write into after `reserve`, which may replace it. */
  get buffer(): Buffer {
    return this.#bytes;
  }

  /** Where the next byte goes; whoever writes by himself moves it on. */
  get at(): number {
    return this.#at;
  }

  set at(at: number) {
    this.#at = at;
  }

  /** Makes room for so many bytes in a row, which are sent by the end of this turn. */
  reserve(bytes: number): void {
    if (!this.#scheduled && this.#sink !== undefined) this.#schedule();
    if (this.#at + bytes <= this.#bytes.length) return;
    this.#write();
    const kept = this.#at - this.#start;
    if (kept + bytes <= this.#bytes.length && this.#at === kept) return;
    // What was handed to the sink still lies in the old buffer.
    const fresh = Buffer.allocUnsafeSlow(Math.max(roomBytes, 2 * (kept + bytes)));
    this.#bytes.copy(fresh, 0, this.#start, this.#at);
    this.#bytes = fresh;
    this.#start = 0;
    this.#at = kept;
  }

  /** Writes now what has not been written. */
  flush(): void {
    if (this.#sink === undefined) return;
    this.#onFlush();
    this.#write();
  }

  /** A whole frame; its payload may come in two parts. */
  frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    this.reserve(headBytes + payload.length);
    writeHead(this.#bytes, this.#at, { type, flags, streamId, length: payload.length });
    this.#bytes.set(payload, this.#at + headBytes);
    this.#at += headBytes + payload.length;
  }

  /** Data of a stream, from `start` to `end`, in one frame: no more than the peer's largest. */
  data(streamId: number, bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    const length = end - start;
    this.reserve(headBytes + length);
    const flags = isLast ? flag.endStream : 0;
    writeHead(this.#bytes, this.#at, { type: frameType.data, flags, streamId, length });
    if (length > 0) (bytes as Buffer).copy(this.#bytes, this.#at + headBytes, start, end);
    this.#at += headBytes + length;
  }

  settings(settings: readonly Setting[]): void {
    this.frame(frameType.settings, 0, 0, settingBytes(settings));
  }

  settingsAck(): void {
    this.#head(frameType.settings, flag.ack, 0, 0);
  }

  reset(streamId: number, code: number): void {
    this.#head(frameType.reset, 0, streamId, 4);
    this.#uint32(code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.#head(frameType.windowUpdate, 0, streamId, 4);
    this.#uint32(bytes);
  }

  ping(payload: Uint8Array, isAck: boolean): void {
    this.frame(frameType.ping, isAck ? flag.ack : 0, 0, payload);
  }

  goaway(code: number): void {
    this.#head(frameType.goaway, 0, 0, 8);
    // The peer opens no streams.
    this.#uint32(0);
    this.#uint32(code);
  }

  #head(type: number, flags: number, streamId: number, length: number): void {
    this.reserve(headBytes + length);
    writeHead(this.#bytes, this.#at, { type, flags, streamId, length });
    this.#at += headBytes;
  }

  #uint32(value: number): void {
    writeUint32(this.#bytes, this.#at, value);
    this.#at += 4;
  }

  #schedule(): void {
    this.#scheduled = true;
    setImmediate(this.#flushLater);
  }

  #write(): void {
    if (this.#sink === undefined || this.#at === this.#start) return;
    const bytes = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#sink.write(bytes);
    // Taken at once, as nearly always: the buffer is free again. Else what follows is written behind it.
    if (this.#sink.writableLength === 0) this.#start = this.#at = 0;
  }
}
