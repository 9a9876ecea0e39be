import { type FrameFault, frameMessage } from "#kit/wire/grpc-frame.ts";
import type { GrpcStatus } from "#kit/wire/grpc-status.ts";
import { errorCode } from "#kit/wire/http2/frames.ts";
import type { ClientStream, StreamReset } from "#kit/wire/http2/stream.ts";
import { Code } from "../grpc/grpc-code.ts";
import { Attempt, type AttemptListener } from "./attempt.ts";
import {
  type Call,
  type CallListener,
  type CallRequest,
  type Failure,
  failed,
  type Outcome,
  type StreamSource,
} from "./call.ts";

const maxAttempts = 2;
const retryDelayMs = 25;
const deadlineSlackMs = 20;
// Who is turned away for the backend's load comes back when some of it is done.
const shedRetryMs = 1_000;
// What a caller has streamed is kept this far, so that a call the backend never saw can be sent again.
const maxKeptBytes = 64 * 1024;

/**
 * A call to a backend with its deadline and at most one retry: after a failure before any answer, when the backend has
 * not seen the call or the call is retryable.
 */
export class UpstreamCall implements Call, AttemptListener {
  readonly #source: StreamSource;
  readonly #request: CallRequest;
  readonly #listener: CallListener;
  readonly #deadlineMs: number;
  /** What has been sent so far; undefined once it is too much to be sent again. */
  #kept: Buffer[] | undefined = [];
  #keptBytes = 0;
  #complete: boolean;
  #timer: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #attempt: Attempt | undefined;
  #attempts = 0;
  #ended = false;
  #paused = false;

  constructor(source: StreamSource, request: CallRequest, listener: CallListener) {
    this.#source = source;
    this.#request = request;
    this.#listener = listener;
    this.#complete = request.message !== undefined;
    if (request.message !== undefined) this.#kept = [frameMessage(request.message)];
    this.#deadlineMs = performance.now() + request.timeoutMs;
    this.#timer = setTimeout(() => this.#abandon("deadline", "the deadline has passed"), request.timeoutMs);
    this.#start();
  }

  cancel(): void {
    this.#abandon("cancelled", "the caller has gone");
  }

  pause(): void {
    this.#paused = true;
    this.#attempt?.stream?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#attempt?.stream?.resume();
  }

  send(message: Uint8Array): boolean {
    const frame = frameMessage(message);
    this.#keptBytes += frame.length;
    const { stream } = this.#attempt ?? {};
    if (stream !== undefined && this.#keptBytes > maxKeptBytes) this.#kept = undefined;
    this.#kept?.push(frame);
    return stream !== undefined && (this.#ended || stream.write(frame));
  }

  end(): void {
    this.#complete = true;
    this.#attempt?.stream?.end();
  }

  /** The head of an answer whose status is still to come. */
  onHead(headers: Outcome["headers"]): void {
    if (!this.#ended) this.#listener.onHeaders?.(headers);
  }

  onMessage(message: Buffer): void {
    if (!this.#ended) this.#listener.onMessage(message);
  }

  onDrain(): void {
    this.#listener.onDrain?.();
  }

  onFault(fault: FrameFault | "after-status"): void {
    const { maxResponseBytes } = this.#request;
    if (fault === "too-large")
      this.#abandon("response-too-large", `the backend's answer is larger than ${maxResponseBytes} bytes`);
    else if (fault === "compressed") this.#abandon("malformed", "the backend's answer is compressed");
    else this.#abandon("malformed", "the backend's answer goes on after its status");
  }

  #start(): void {
    this.#attempts++;
    const leftMs = Math.max(1, Math.ceil(this.#deadlineMs - performance.now()));
    const headers = [":path", this.#request.path, "te", "trailers", "content-type", "application/grpc"];
    headers.push("grpc-timeout", `${leftMs}m`, ...this.#request.metadata);
    const attempt = new Attempt(this, this.#request.maxResponseBytes);
    const opened = this.#source.stream(headers, attempt);
    if (typeof opened === "string") {
      // Never inside the constructor's caller, which does not hold the call yet.
      process.nextTick(() =>
        this.#fail(opened, "no connection to the backend", { unseen: true, answered: false }),
      );
      return;
    }
    attempt.stream = opened;
    this.#attempt = attempt;
    if (this.#paused) opened.pause();
    this.#sendKept(opened);
  }

  #sendKept(stream: ClientStream): void {
    const kept = this.#kept ?? [];
    if (this.#complete && kept.length === 1) {
      stream.end(kept[0]);
      return;
    }
    let hasRoom = true;
    for (const frame of kept) hasRoom = stream.write(frame);
    if (this.#complete) stream.end();
    else if (hasRoom) process.nextTick(() => this.#listener.onDrain?.());
  }

  /** A backend that cannot answer now may be asked again, unless it says otherwise or something of an answer has gone on. */
  onStatus(attempt: Attempt, status: GrpcStatus): void {
    if (this.#ended || this.#attempt !== attempt) return;
    const { health } = this.#source;
    if (status.code !== Code.UNAVAILABLE) {
      health.succeeded();
      this.#finish(outcomeOf(attempt, status));
      return;
    }
    health.failed();
    const whole = attempt.headers["grpc-status"] !== undefined;
    const pushbackMs = readPushback(attempt.headers["grpc-retry-pushback-ms"]);
    if (!whole || !this.#request.retryable || pushbackMs === "never")
      this.#finish(outcomeOf(attempt, status));
    else if (!this.#again(pushbackMs ?? retryDelayMs))
      this.#finish({ ...outcomeOf(attempt, status), exhausted: true });
  }

  /** Starts another attempt after a while; false where attempts, budget or time are used up. */
  #again(delayMs: number): boolean {
    const possible =
      this.#kept !== undefined &&
      this.#attempts < maxAttempts &&
      performance.now() + delayMs < this.#deadlineMs &&
      this.#source.health.takeRetry();
    if (!possible) return false;
    this.#attempt = undefined;
    this.#retry = setTimeout(() => this.#start(), delayMs);
    return true;
  }

  onLost(attempt: Attempt, { code, unseen, unconnected, reason }: StreamReset): void {
    if (this.#ended || this.#attempt !== attempt) return;
    // A backend may notice a moment earlier that the time is over, and reset the stream for it.
    if (performance.now() + deadlineSlackMs >= this.#deadlineMs)
      this.#finish(failed("deadline", "the deadline has passed"));
    else if (code === errorCode.enhanceYourCalm)
      this.#finish({ ...failed("lost", reason), code: Code.RESOURCE_EXHAUSTED });
    else if (code === errorCode.inadequateSecurity)
      this.#finish({ ...failed("lost", reason), code: Code.PERMISSION_DENIED });
    else this.#fail(unconnected ? "unreachable" : "lost", reason, { unseen, answered: attempt.answered });
  }

  #fail(failure: Failure, message: string, seen: { unseen: boolean; answered: boolean }): void {
    if (this.#ended) return;
    const { health } = this.#source;
    if (failure === "lost" || failure === "unreachable") health.failed();
    const refused = failure === "overloaded" || failure === "resting";
    const repeatable = !refused && !seen.answered && (seen.unseen || this.#request.retryable);
    if (repeatable && this.#again(this.#source.backoffMs + retryDelayMs)) return;
    this.#finish({
      ...failed(failure, message),
      exhausted: repeatable,
      ...(refused && { retryAfterMs: Math.max(health.restsMs, shedRetryMs) }),
    });
  }

  #abandon(failure: Failure, message: string): void {
    if (this.#ended) return;
    this.#finish(failed(failure, message));
  }

  #finish(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    // Of an abandoned call, and of one whose backend is done before its caller has sent all; others are closed already.
    this.#attempt?.stream?.reset(errorCode.cancel);
    this.#listener.onEnd(outcome);
  }
}

function outcomeOf(attempt: Attempt, status: GrpcStatus): Outcome {
  const cutOff = status.code === Code.OK && attempt.partial;
  if (cutOff) return failed("malformed", "the backend's answer breaks off inside a message");
  return { ...status, headers: attempt.headers, trailers: attempt.trailers, failure: undefined };
}

/** What a backend says of when to ask again; "never" for a negative time, and for one that is none (gRFC A6). */
function readPushback(value: string | string[] | undefined): number | "never" | undefined {
  if (value === undefined) return undefined;
  return /^\d{1,8}$/.test(String(value)) ? Number(value) : "never";
}
