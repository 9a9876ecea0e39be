import { Code } from "#gen/google/rpc/code_pb.ts";
import { fromStatus, type ServiceError } from "#kit/errors/errors.ts";
import { type FrameFault, FrameReader, frameMessage } from "#kit/wire/grpc-frame.ts";
import { type GrpcStatus, readStatus, statusWithout } from "#kit/wire/grpc-status.ts";
import { errorCode } from "#kit/wire/http2/frames.ts";
import type { AnswerHeaders } from "#kit/wire/http2/header-list.ts";
import type { ClientStream, StreamListener, StreamReset } from "#kit/wire/http2/stream.ts";
import { callerGone, deadlineExceeded } from "./abandonment.ts";
import type { Outgoing } from "./outgoing.ts";
import { forbidsRetry, markExhausted } from "./retry-marks.ts";

/** The largest answer a client takes, in bytes. 4 MiB: a page of 100 of anything fits. */
const maxAnswerBytes = 4 * 1024 * 1024;
/** A callee that turned a call away unread, as it does while it closes a connection, is asked so often in all. */
const maxOpenings = 3;
// A callee may notice a moment before us that the time is over.
const deadlineSlackMs = 20;

/** What becomes of a call; `onEnd` comes once, last. */
export interface WireListener {
  onMessage(bytes: Buffer): void;
  /** The answer is whole, or the call failed with this. */
  onEnd(failure: ServiceError | undefined): void;
}

/** A call on its way: it ends by its answer, its deadline, its signal or `cancel`, whichever comes first. */
export class WireCall implements StreamListener {
  readonly #outgoing: Outgoing;
  readonly #listener: WireListener;
  readonly #reader = new FrameReader(maxAnswerBytes);
  readonly #onMessage: (bytes: Buffer) => void;
  readonly #onAbort: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #stream: ClientStream | undefined;
  #openings = 0;
  #head: AnswerHeaders | undefined;
  #status: GrpcStatus | undefined;
  /** The headers that the status came with. */
  #lastWord: AnswerHeaders | undefined;
  #ended = false;

  constructor(outgoing: Outgoing, listener: WireListener) {
    const { deadline, signal } = outgoing;
    this.#outgoing = outgoing;
    this.#listener = listener;
    this.#onMessage = (bytes) => {
      if (!this.#ended) listener.onMessage(bytes);
    };
    this.#timer = setTimeout(() => this.#fail(deadlineExceeded()), deadline.remainingMs());
    if (signal !== undefined) {
      this.#onAbort = () => this.#fail(callerGone());
      signal.addEventListener("abort", this.#onAbort);
    }
    if (signal?.aborted === true) this.#fail(callerGone());
    else this.#open();
  }

  /** Gives the call up; its listener hears no more. */
  cancel(): void {
    if (!this.#ended) this.#close();
  }

  /** No more messages than those that are here already, until `resume`. */
  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  onHead(headers: AnswerHeaders): void {
    this.#head = headers;
    this.#take(headers);
  }

  onData(bytes: Buffer): void {
    if (this.#head?.[":status"] !== 200 || this.#status !== undefined) return;
    const fault = this.#reader.read(bytes, this.#onMessage);
    if (fault !== undefined) this.#fail(answerFault(fault));
  }

  onTrailers(trailers: AnswerHeaders): void {
    this.#take(trailers);
  }

  onEnd(): void {
    this.#conclude(this.#status ?? statusWithout(this.#head?.[":status"], this.#head?.["content-type"]));
  }

  // The one message of a call was handed over whole.
  onDrain(): void {}

  /** A status that came before the loss counts. */
  onReset(reset: StreamReset): void {
    if (this.#ended) return;
    if (this.#status !== undefined) this.#conclude(this.#status);
    else if (reset.unseen && !reset.unconnected && this.#openings < maxOpenings) this.#open();
    else this.#fail(this.#lost(reset));
  }

  #open(): void {
    this.#openings += 1;
    const { channel, rpc, fields, traceparent, bytes, deadline } = this.#outgoing;
    const leftMs = Math.max(1, Math.ceil(deadline.remainingMs()));
    const head = [":path", rpc.path, "te", "trailers", "content-type", "application/grpc"];
    head.push("grpc-timeout", `${leftMs}m`, ...fields);
    if (traceparent !== undefined) head.push("traceparent", traceparent);
    const opened = channel.open(head, this);
    if (typeof opened === "string") {
      this.#fail(transportFailure(Code.UNAVAILABLE, `the callee is ${opened}`));
      return;
    }
    this.#stream = opened;
    opened.end(frameMessage(bytes));
  }

  #take(headers: AnswerHeaders): void {
    const status = readStatus(headers);
    if (status === undefined) return;
    this.#status = status;
    this.#lastWord = headers;
  }

  #lost({ code, reason }: StreamReset): ServiceError {
    if (this.#outgoing.deadline.remainingMs() <= deadlineSlackMs) return deadlineExceeded();
    return transportFailure(resetCodes[code] ?? Code.UNAVAILABLE, reason);
  }

  #conclude(status: GrpcStatus): void {
    if (status.code !== Code.OK) this.#fail(this.#toError(status));
    else if (this.#reader.partial)
      this.#fail(transportFailure(Code.INTERNAL, "the answer breaks off inside a message"));
    else if (!this.#ended) {
      this.#close();
      this.#listener.onEnd(undefined);
    }
  }

  /**
   * The error a callee's status stands for; marked, where the callee says that repeating is in vain. CANCELLED is ours to say:
   * where nobody here gave up, it is how the callee tells of another caller's end.
   */
  #toError({ code, message, details }: GrpcStatus): ServiceError {
    const isUncalled = code === Code.CANCELLED;
    const error = fromStatus({
      code: isUncalled ? Code.UNAVAILABLE : code,
      message,
      details: isUncalled ? undefined : details,
    });
    if (forbidsRetry(this.#lastWord)) markExhausted(error);
    return error;
  }

  #fail(failure: ServiceError): void {
    if (this.#ended) return;
    this.#close();
    this.#listener.onEnd(failure);
  }

  #close(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#onAbort !== undefined) this.#outgoing.signal?.removeEventListener("abort", this.#onAbort);
    // Of one that is over already nothing is left to reset.
    this.#stream?.reset(errorCode.cancel);
  }
}

/** What a reset's code stands for, where it is not that the callee is away (gRPC over HTTP/2, "Errors"). */
const resetCodes: Readonly<Record<number, Code>> = {
  [errorCode.protocol]: Code.INTERNAL,
  [errorCode.internal]: Code.INTERNAL,
  [errorCode.flowControl]: Code.INTERNAL,
  [errorCode.frameSize]: Code.INTERNAL,
  [errorCode.compression]: Code.INTERNAL,
  [errorCode.enhanceYourCalm]: Code.RESOURCE_EXHAUSTED,
  [errorCode.inadequateSecurity]: Code.PERMISSION_DENIED,
};

const transportFailure = (code: Code, message: string) => fromStatus({ code, message, details: undefined });

function answerFault(fault: FrameFault): ServiceError {
  return fault === "too-large"
    ? transportFailure(Code.RESOURCE_EXHAUSTED, `the answer is larger than ${maxAnswerBytes} bytes`)
    : transportFailure(Code.INTERNAL, "the answer is compressed, which nobody asked for");
}
