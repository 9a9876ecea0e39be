import type { IncomingHttpHeaders } from "node:http2";
import { type FrameFault, FrameReader } from "#kit/wire/grpc-frame.ts";
import { type GrpcStatus, readStatus, statusWithout } from "#kit/wire/grpc-status.ts";
import type { AnswerHeaders } from "#kit/wire/http2/header-list.ts";
import type { ClientStream, StreamListener, StreamReset } from "#kit/wire/http2/stream.ts";

/** What an attempt tells its call; `onStatus` or `onLost` comes last. */
export interface AttemptListener {
  /** The head of an answer that goes on. */
  onHead(headers: IncomingHttpHeaders): void;
  onMessage(message: Buffer): void;
  onFault(fault: FrameFault | "after-status"): void;
  onDrain(): void;
  onStatus(attempt: Attempt, status: GrpcStatus): void;
  onLost(attempt: Attempt, reset: StreamReset): void;
}

/** One stream of a call; a second attempt has another. */
export class Attempt implements StreamListener {
  stream: ClientStream | undefined;
  headers: IncomingHttpHeaders = {};
  trailers: IncomingHttpHeaders = {};
  /** Something of an answer has come. */
  answered = false;
  readonly #listener: AttemptListener;
  readonly #reader: FrameReader;
  readonly #onMessage = (message: Buffer) => this.#listener.onMessage(message);
  #status: GrpcStatus | undefined;
  #httpStatus: number | undefined;

  constructor(listener: AttemptListener, maxResponseBytes: number) {
    this.#listener = listener;
    this.#reader = new FrameReader(maxResponseBytes);
  }

  /** Whether the answer breaks off inside a message. */
  get partial(): boolean {
    return this.#reader.partial;
  }

  onHead(headers: AnswerHeaders): void {
    this.answered = true;
    this.headers = headers;
    this.#httpStatus = headers[":status"];
    this.#status = readStatus(headers);
    if (this.#status === undefined) this.#listener.onHead(headers);
  }

  onData(bytes: Buffer): void {
    if (this.#httpStatus !== 200) return;
    const fault = this.#status === undefined ? this.#reader.read(bytes, this.#onMessage) : "after-status";
    if (fault !== undefined) this.#listener.onFault(fault);
  }

  onTrailers(trailers: IncomingHttpHeaders): void {
    this.trailers = trailers;
    this.#status = readStatus(trailers);
  }

  onEnd(): void {
    const status = this.#status ?? statusWithout(this.#httpStatus, this.headers["content-type"]);
    this.#listener.onStatus(this, status);
  }

  onDrain(): void {
    this.#listener.onDrain();
  }

  /** A status that came before the loss counts. */
  onReset(reset: StreamReset): void {
    if (this.#status !== undefined) this.#listener.onStatus(this, this.#status);
    else this.#listener.onLost(this, reset);
  }
}
