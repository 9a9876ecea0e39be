import http2, { type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { Code } from "../grpc/grpc-code.ts";
import { FrameReader, frameMessage } from "../grpc/grpc-frame.ts";
import { type GrpcStatus, readStatus, statusWithout } from "../grpc/grpc-status.ts";
import {
  type Call,
  type CallListener,
  type CallRequest,
  type Failure,
  failed,
  type OpenedStream,
  type Outcome,
  type StreamSource,
} from "./call.ts";

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INADEQUATE_SECURITY } =
  http2.constants;

const maxAttempts = 2;
const retryDelayMs = 25;
const deadlineSlackMs = 20;
// Who is turned away for the backend's load comes back when some of it is done.
const shedRetryMs = 1_000;
// What a caller has streamed is kept this far, so that a call the backend never saw can be sent again.
const maxKeptBytes = 64 * 1024;

/** One attempt's state; a second attempt starts with a fresh one. */
interface Attempt extends OpenedStream {
  readonly reader: FrameReader;
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  status: GrpcStatus | undefined;
  httpStatus: number | undefined;
}

/**
 * A call to a backend with its deadline and at most one retry: after a failure before any answer, when the backend has
 * not seen the call or the call is retryable.
 */
export class UpstreamCall implements Call {
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
  #answered = false;
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
    this.#attempt?.stream.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#attempt?.stream.resume();
  }

  send(message: Uint8Array): boolean {
    const frame = frameMessage(message);
    this.#keptBytes += frame.length;
    const { stream } = this.#attempt ?? {};
    if (stream !== undefined && this.#keptBytes > maxKeptBytes) this.#kept = undefined;
    this.#kept?.push(frame);
    return stream !== undefined && (this.#ended || stream.destroyed || stream.write(frame));
  }

  end(): void {
    this.#complete = true;
    this.#attempt?.stream.end();
  }

  #start(): void {
    this.#attempts++;
    const leftMs = Math.max(1, Math.ceil(this.#deadlineMs - performance.now()));
    const opened = this.#source.stream([
      ":path",
      this.#request.path,
      "te",
      "trailers",
      "content-type",
      "application/grpc",
      "grpc-timeout",
      `${leftMs}m`,
      ...this.#request.metadata,
    ]);
    if (typeof opened === "string") {
      // Never inside the constructor's caller, which does not hold the call yet.
      process.nextTick(() => this.#fail(opened, "no connection to the backend", true));
      return;
    }
    this.#attempt = {
      ...opened,
      reader: new FrameReader(this.#request.maxResponseBytes),
      headers: {},
      trailers: {},
      status: undefined,
      httpStatus: undefined,
    };
    this.#listen(this.#attempt);
    this.#sendKept(opened.stream);
  }

  #sendKept(stream: ClientHttp2Stream): void {
    const kept = this.#kept ?? [];
    if (this.#complete && kept.length === 1) {
      stream.end(kept[0]);
      return;
    }
    stream.on("drain", () => this.#listener.onDrain?.());
    for (const frame of kept) stream.write(frame);
    if (this.#complete) stream.end();
    else if (!stream.writableNeedDrain) process.nextTick(() => this.#listener.onDrain?.());
  }

  #listen(attempt: Attempt): void {
    const { stream } = attempt;
    stream.on("response", (headers) => this.#onResponse(attempt, headers));
    stream.on("data", (chunk: Buffer) => this.#onData(attempt, chunk));
    stream.on("trailers", (trailers) => {
      attempt.trailers = trailers;
      attempt.status = readStatus(trailers);
    });
    stream.on("end", () => this.#onEnd(attempt));
    stream.on("close", () => this.#onClose(attempt));
    stream.on("error", () => undefined);
    if (this.#paused) stream.pause();
  }

  #onResponse(attempt: Attempt, headers: IncomingHttpHeaders): void {
    this.#answered = true;
    attempt.headers = headers;
    attempt.httpStatus = Number(headers[":status"]);
    attempt.status = readStatus(headers);
    if (attempt.status === undefined && !this.#ended) this.#listener.onHeaders?.(headers);
  }

  #onData(attempt: Attempt, chunk: Buffer): void {
    if (this.#ended || attempt.httpStatus !== 200) return;
    // Trailers are told of while messages before them still wait for a slow reader; a status among the headers comes first.
    if (attempt.headers["grpc-status"] !== undefined) {
      this.#abandon("malformed", "the backend's answer goes on after its status");
      return;
    }
    const fault = attempt.reader.read(chunk, (message) => {
      if (!this.#ended) this.#listener.onMessage(message);
    });
    if (fault === "too-large") {
      this.#abandon(
        "response-too-large",
        `the backend's answer is larger than ${this.#request.maxResponseBytes} bytes`,
      );
    } else if (fault === "compressed") this.#abandon("malformed", "the backend's answer is compressed");
  }

  /** All data is in; the status usually is too, else `close` decides. */
  #onEnd(attempt: Attempt): void {
    if (attempt.status !== undefined) this.#onStatus(attempt, attempt.status);
  }

  #onClose(attempt: Attempt): void {
    if (this.#ended || this.#attempt !== attempt) return;
    // Where messages before the trailers were lost with the stream, the trailers say nothing of it.
    if (attempt.status !== undefined && attempt.stream.readableLength === 0)
      this.#onStatus(attempt, attempt.status);
    else if (
      attempt.status === undefined &&
      attempt.httpStatus !== undefined &&
      attempt.stream.rstCode === 0 &&
      attempt.session.connected &&
      attempt.stream.readableEnded
    ) {
      this.#onStatus(attempt, statusWithout(attempt.httpStatus, attempt.headers["content-type"]));
    } else this.#onReset(attempt);
  }

  /** A backend that cannot answer now may be asked again, unless it says otherwise or something of an answer has gone on. */
  #onStatus(attempt: Attempt, status: GrpcStatus): void {
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
    this.#answered = false;
    this.#retry = setTimeout(() => this.#start(), delayMs);
    return true;
  }

  #onReset(attempt: Attempt): void {
    const code = attempt.stream.rstCode;
    // A backend may notice a moment earlier that the time is over, and reset the stream for it.
    if (performance.now() + deadlineSlackMs >= this.#deadlineMs)
      this.#finish(failed("deadline", "the deadline has passed"));
    else if (code === NGHTTP2_ENHANCE_YOUR_CALM) this.#finish(reset(Code.RESOURCE_EXHAUSTED, code));
    else if (code === NGHTTP2_INADEQUATE_SECURITY) this.#finish(reset(Code.PERMISSION_DENIED, code));
    else {
      const unseen =
        !attempt.session.connected ||
        code === NGHTTP2_REFUSED_STREAM ||
        attempt.session.ignored(attempt.stream.id);
      this.#fail(
        attempt.session.connected ? "lost" : "unreachable",
        "the connection to the backend was lost",
        unseen,
      );
    }
  }

  #fail(failure: Failure, message: string, unseen: boolean): void {
    if (this.#ended) return;
    const { health } = this.#source;
    if (failure === "lost" || failure === "unreachable") health.failed();
    const refused = failure === "overloaded" || failure === "resting";
    const repeatable = !refused && !this.#answered && (unseen || this.#request.retryable);
    if (repeatable && this.#again(this.#source.backoffMs + retryDelayMs)) return;
    this.#finish({
      ...failed(failure, message),
      exhausted: repeatable,
      ...(refused && { retryAfterMs: Math.max(health.restsMs, shedRetryMs) }),
    });
  }

  #abandon(failure: Failure, message: string): void {
    if (this.#ended) return;
    this.#attempt?.stream.close(NGHTTP2_CANCEL);
    this.#finish(failed(failure, message));
  }

  #finish(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    // A backend may be done before its caller has sent all; its stream would stay half open.
    if (!this.#complete) this.#attempt?.stream.close(NGHTTP2_CANCEL);
    this.#listener.onEnd(outcome);
  }
}

function outcomeOf(attempt: Attempt, status: GrpcStatus): Outcome {
  const cutOff = status.code === Code.OK && attempt.reader.partial;
  if (cutOff) return failed("malformed", "the backend's answer breaks off inside a message");
  return { ...status, headers: attempt.headers, trailers: attempt.trailers, failure: undefined };
}

/** What a backend says of when to ask again; "never" for a negative time, and for one that is none (gRFC A6). */
function readPushback(value: string | string[] | undefined): number | "never" | undefined {
  if (value === undefined) return undefined;
  return /^\d{1,8}$/.test(String(value)) ? Number(value) : "never";
}

function reset(code: number, rstCode: number): Outcome {
  return { ...failed("lost", `the backend reset the stream (${rstCode})`), code };
}
