import { streamFault } from "./frames.ts";
import type { AnswerHeaders, HeaderList } from "./header-list.ts";
import type { Output } from "./output.ts";
import { ReceiveWindow, SendWindow } from "./windows.ts";

/** What becomes of a stream. After the answer's end, a reset, or the stream's own `reset`, nothing more comes. */
export interface StreamListener {
  /** The head of the answer; interim ones (1xx) are left out. */
  onHead(headers: AnswerHeaders): void;
  /** The next bytes, which are lent for the time of this call. */
  onData(bytes: Buffer): void;
  onTrailers(trailers: AnswerHeaders): void;
  /** The answer is whole. */
  onEnd(): void;
  /** After a `write` that answered false: there is room for more. */
  onDrain(): void;
  /** The peer, or the loss of the connection, ended the stream before its answer was whole. */
  onReset(reset: StreamReset): void;
}

/** Why a stream ended early. */
export interface StreamReset {
  /** An error code of HTTP/2; 0 where the connection was lost. */
  readonly code: number;
  /** The peer certainly never looked at the request. */
  readonly unseen: boolean;
  /** The connection had never been there. */
  readonly unconnected: boolean;
  /** What happened, for logs. */
  readonly reason: string;
}

/** What a stream needs of its connection. */
export interface StreamCarrier {
  readonly output: Output;
  readonly maxFrameBytes: number;
  /** Bytes of data that the connection takes now. */
  readonly sendableBytes: number;
  /** Data was sent; the connection's window shrinks. */
  sent(bytes: number): void;
  /** The stream has more to send and asks to be pumped when the connection takes some. */
  waits(stream: ClientStream): void;
  /** Data was read on; the connection's window is given back. */
  consumed(bytes: number): void;
  /** The stream is over, on both sides. */
  closed(stream: ClientStream): void;
}

/** The window of a stream: a caller who does not read holds so much, and others on its connection go on. */
export const streamWindowBytes = 256 * 1024;
// More than this waiting to be sent asks the writer to wait.
const maxPendingBytes = 64 * 1024;
// So much in a row before another stream of the connection has its turn.
const turnBytes = 64 * 1024;

/** One request to a backend and its answer. */
export class ClientStream {
  /** 0 until the request has been sent. */
  id = 0;
  readonly sendWindow = new SendWindow();
  readonly #carrier: StreamCarrier;
  readonly #listener: StreamListener;
  readonly #receiveWindow = new ReceiveWindow(streamWindowBytes);
  #pending: Uint8Array[] = [];
  /** Bytes of the first pending that have been sent. */
  #offset = 0;
  #pendingBytes = 0;
  #ending = false;
  #sentAll = false;
  #writerWaits = false;
  #hasHead = false;
  #receivedAll = false;
  /** The listener has had the end, or wants no more. */
  #heard = false;
  #closed = false;
  #paused = false;
  /** What came while nobody read. */
  #held: Buffer[] = [];
  #heldTrailers: AnswerHeaders | undefined;

  constructor(carrier: StreamCarrier, listener: StreamListener) {
    this.#carrier = carrier;
    this.#listener = listener;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends bytes, which must not change afterwards; false asks to wait for `onDrain`. What comes after the end is dropped. */
  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#ending) return true;
    if (bytes.length > 0) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
      this.pump();
    }
    this.#writerWaits = this.#pendingBytes > maxPendingBytes;
    return !this.#writerWaits;
  }

  /** Ends the request, with these bytes as its last. */
  end(bytes?: Uint8Array): void {
    if (this.#closed || this.#ending) return;
    if (bytes !== undefined && bytes.length > 0) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
    }
    this.#ending = true;
    this.pump();
  }

  /** Gives the stream up; the listener hears no more of it. Nothing happens to one that is over. */
  reset(code: number): void {
    if (this.#closed) return;
    if (this.id !== 0) this.#carrier.output.reset(this.id, code);
    this.#drop();
  }

  /** No more data until `resume`; the peer may send what fits the window. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (!this.#paused && this.#held.length > 0) {
      const bytes = this.#held.shift() as Buffer;
      this.#consume(bytes.length);
      this.#listener.onData(bytes);
    }
    if (this.#held.length === 0 && this.#receivedAll && !this.#heard) this.#finishReading();
  }

  /** Sends what windows and the connection allow. */
  pump(): void {
    if (this.#closed || this.#sentAll || this.id === 0) return;
    const { output } = this.#carrier;
    for (let turn = 0; this.#pending.length > 0; ) {
      const first = this.#pending[0] as Uint8Array;
      const sendable = this.#carrier.sendableBytes;
      const left = first.length - this.#offset;
      const bytes = Math.min(left, this.sendWindow.bytes, sendable, this.#carrier.maxFrameBytes);
      if (bytes <= 0 || turn >= turnBytes) {
        if (this.sendWindow.bytes > 0) this.#carrier.waits(this);
        return;
      }
      const isLast = this.#ending && this.#pending.length === 1 && bytes === left;
      output.data(this.id, first, this.#offset, this.#offset + bytes, isLast);
      this.#sent(bytes, bytes === left);
      turn += bytes;
      if (isLast) this.#endSending();
    }
    if (this.#ending && !this.#sentAll) {
      output.data(this.id, noBytes, 0, 0, true);
      this.#endSending();
    }
    if (!this.#writerWaits) return;
    this.#writerWaits = false;
    this.#listener.onDrain();
  }

  /** Takes a header block; throws an {@link Http2Error} where there may be none, or not this one. */
  takeHeaders({ headers, fault }: HeaderList, isEnd: boolean): void {
    if (this.#receivedAll) throw streamFault("streamClosed", this.id, "headers after the end");
    if (fault !== undefined) throw streamFault("protocol", this.id, fault);
    const status = headers[":status"];
    if (this.#hasHead) {
      if (!isEnd || status !== undefined) throw streamFault("protocol", this.id, "trailers that are none");
      if (this.#held.length === 0) this.#listener.onTrailers(headers);
      else this.#heldTrailers = headers;
    } else {
      if (status === undefined) throw streamFault("protocol", this.id, "an answer without status");
      if (status < 200) {
        if (isEnd || status === 101) throw streamFault("protocol", this.id, "an interim answer at the end");
        return;
      }
      this.#hasHead = true;
      this.#listener.onHead(headers);
    }
    if (isEnd) this.#takeEnd();
  }

  /** Takes data, which counts as `windowBytes` with its padding; throws an {@link Http2Error} where it is too much or out of place. */
  takeData(bytes: Buffer, windowBytes: number, isEnd: boolean): void {
    if (this.#receivedAll) throw streamFault("streamClosed", this.id, "data after the end");
    if (!this.#hasHead) throw streamFault("protocol", this.id, "data before the answer's head");
    if (!this.#receiveWindow.receive(windowBytes))
      throw streamFault("flowControl", this.id, "more data than the stream's window");
    if (this.#paused || this.#held.length > 0) {
      this.#consume(windowBytes - bytes.length);
      if (bytes.length > 0) this.#held.push(Buffer.from(bytes));
    } else {
      if (isEnd) this.#carrier.consumed(windowBytes);
      else this.#consume(windowBytes);
      if (bytes.length > 0) this.#listener.onData(bytes);
    }
    if (isEnd) this.#takeEnd();
  }

  /** Ends it because of the peer, or the loss of the connection. */
  lose(reset: StreamReset): void {
    if (this.#closed) return;
    // An answer that is whole stays one, also where it has not been read yet.
    if (this.#receivedAll) this.#leave();
    else {
      this.#drop();
      this.#listener.onReset(reset);
    }
  }

  #takeEnd(): void {
    if (this.#closed) return;
    this.#receivedAll = true;
    if (this.#held.length === 0) this.#finishReading();
  }

  #finishReading(): void {
    this.#heard = true;
    if (this.#sentAll) this.#leave();
    if (this.#heldTrailers !== undefined) this.#listener.onTrailers(this.#heldTrailers);
    this.#listener.onEnd();
  }

  #sent(bytes: number, isWhole: boolean): void {
    this.sendWindow.bytes -= bytes;
    this.#pendingBytes -= bytes;
    this.#carrier.sent(bytes);
    if (isWhole) {
      this.#pending.shift();
      this.#offset = 0;
    } else this.#offset += bytes;
  }

  #endSending(): void {
    this.#sentAll = true;
    if (this.#heard) this.#leave();
  }

  #consume(bytes: number): void {
    if (bytes === 0) return;
    this.#carrier.consumed(bytes);
    const back = this.#receiveWindow.consume(bytes);
    if (back > 0 && !this.#receivedAll && !this.#closed) this.#carrier.output.windowUpdate(this.id, back);
  }

  /** What nobody will read any more is given back to the connection. */
  #drop(): void {
    for (const { length } of this.#held) this.#carrier.consumed(length);
    this.#held = [];
    this.#heard = true;
    this.#leave();
  }

  #leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#carrier.closed(this);
  }
}

const noBytes = Buffer.alloc(0);
