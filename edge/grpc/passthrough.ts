import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { frameMessage } from "#kit/wire/grpc-frame.ts";
import { errorCode } from "#kit/wire/http2/frames.ts";
import type { AnswerHeaders } from "#kit/wire/http2/header-list.ts";
import type { ClientStream, StreamListener } from "#kit/wire/http2/stream.ts";
import { timeoutOf } from "../deadline.ts";
import { EdgeError, toEdgeError } from "../edge-error.ts";
import type { Exchange } from "../exchange.ts";
import type { Procedure } from "../routing/route-table.ts";
import { backendMetadata, type Runtime } from "../runtime.ts";
import { admitUnmatched } from "../unmatched.ts";
import type { Destinations } from "../upstream/backend-choice.ts";
import type { BackendHealth } from "../upstream/backend-health.ts";
import { type Call, failed } from "../upstream/call.ts";
import { LocalBackend } from "../upstream/local-backend.ts";
import { MessageMeter } from "../upstream/message-meter.ts";
import { Upstream } from "../upstream/upstream.ts";
import { errorOfOutcome } from "./error-reasons.ts";
import { brokenOff, messageTooLarge, readFirstMessage, undeclaredCompression } from "./first-message.ts";
import { Code } from "./grpc-code.ts";
import { passOn, trailersOf } from "./grpc-trailers.ts";

/** Serves a gRPC call by passing its bytes to the backend and back; messages are not decoded. */
export function servePassthrough(runtime: Runtime, exchange: Exchange, stream: ServerHttp2Stream): void {
  const procedure = runtime.table.procedures.get(exchange.target);
  if (procedure === undefined) {
    const refuse = (error: EdgeError) => refusePassthrough(runtime, exchange, stream, error);
    const unknown = { reason: "ROUTE_NOT_FOUND", message: "there is no such method", plain: true };
    admitUnmatched(
      runtime,
      exchange,
      () => refuse(new EdgeError({ code: Code.UNIMPLEMENTED, ...unknown })),
      refuse,
    );
    return;
  }
  new Passthrough(runtime, exchange, stream, procedure).start(procedure);
}

/** Refuses a gRPC call before anything is known of it. */
export function refusePassthrough(
  runtime: Runtime,
  exchange: Exchange,
  stream: ServerHttp2Stream,
  error: EdgeError,
): void {
  new Passthrough(runtime, exchange, stream, undefined).refuse(error);
}

class Passthrough {
  readonly #runtime: Runtime;
  readonly #exchange: Exchange;
  readonly #stream: ServerHttp2Stream;
  readonly #meter: MessageMeter;
  #local: Call | undefined;
  #upstream: ClientStream | undefined;
  #health: BackendHealth | undefined;
  #timer: NodeJS.Timeout | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #responded = false;
  #over = false;

  constructor(
    runtime: Runtime,
    exchange: Exchange,
    stream: ServerHttp2Stream,
    procedure: Procedure | undefined,
  ) {
    this.#runtime = runtime;
    this.#exchange = exchange;
    this.#stream = stream;
    stream.on("error", () => undefined);
    this.#meter = new MessageMeter(procedure?.policy.maxRequestBytes ?? 0);
  }

  start(procedure: Procedure): void {
    const call = this.#exchange.matched(procedure, undefined);
    this.#stream.on("close", () => this.#onClientClose());
    try {
      const pending = this.#runtime.options.admit?.(call);
      if (pending === undefined) this.#open(procedure);
      else
        pending.then(
          () => this.#open(procedure),
          (error: unknown) => this.refuse(toEdgeError(error)),
        );
    } catch (error) {
      this.refuse(toEdgeError(error));
    }
  }

  /** Ends the call with a status of the edge's own. */
  refuse(error: EdgeError): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#upstream?.reset(errorCode.cancel);
    this.#local?.cancel();
    const trailers = trailersOf(error);
    if (this.#responded) {
      this.#trailers = trailers;
      this.#stream.end();
    } else if (!this.#stream.destroyed && !this.#stream.headersSent) {
      const headers = {
        ":status": 200,
        "content-type": "application/grpc",
        ...this.#exchange.answerHeaders,
        ...trailers,
      };
      this.#stream.respond(headers, { endStream: true });
    }
    this.#exchange.settle(200, error.code, error);
  }

  #open(procedure: Procedure): void {
    if (this.#over || this.#stream.destroyed) return;
    let timeoutMs: number;
    try {
      timeoutMs = timeoutOf(this.#exchange.header("grpc-timeout"), undefined, procedure.policy.maxTimeoutMs);
    } catch (error) {
      this.refuse(toEdgeError(error));
      return;
    }
    this.#timer = setTimeout(
      () => this.refuse(errorOfOutcome(failed("deadline", "the deadline has passed"))),
      timeoutMs,
    );
    const { destination, policy } = procedure;
    const headers = this.#headers(procedure, timeoutMs);
    if (destination instanceof Upstream) this.#connect(destination, headers, []);
    else if (destination instanceof LocalBackend)
      readFirstMessage(this.#stream, policy.maxRequestBytes, {
        onMessage: ({ message }) => this.#answerLocally(destination, procedure, message, timeoutMs),
        onFault: (error) => this.refuse(error),
      });
    else
      readFirstMessage(this.#stream, policy.maxRequestBytes, {
        onMessage: ({ message, chunks }) => this.#choose(destination, message, headers, chunks),
        onFault: (error) => this.refuse(error),
      });
  }

  #choose(among: Destinations, message: Buffer, headers: readonly string[], chunks: readonly Buffer[]): void {
    try {
      this.#connect(among.choose(message), headers, chunks);
    } catch (error) {
      this.refuse(toEdgeError(error));
    }
  }

  #answerLocally(backend: LocalBackend, { path }: Procedure, message: Buffer, timeoutMs: number): void {
    this.#exchange.requestBytes = message.length;
    const metadata = backendMetadata(this.#runtime, this.#exchange);
    const { maxResponseBytes } = this.#runtime.limits;
    let answer: Buffer | undefined;
    this.#local = backend.call(
      { path, metadata, message, timeoutMs, maxResponseBytes, retryable: false },
      {
        onMessage: (bytes) => {
          answer = frameMessage(bytes);
        },
        onEnd: (outcome) => {
          if (answer === undefined) this.refuse(errorOfOutcome(outcome));
          else this.#respondWhole(answer);
        },
      },
    );
  }

  #respondWhole(frame: Buffer): void {
    if (this.#over) return;
    this.#responded = true;
    this.#exchange.responseBytes = frame.length;
    const headers = { ":status": 200, "content-type": "application/grpc", ...this.#exchange.answerHeaders };
    const trailers = { "grpc-status": String(Code.OK) };
    this.#stream.respond(headers, { waitForTrailers: true });
    this.#stream.on("wantTrailers", () => this.#stream.sendTrailers(trailers));
    this.#finish(trailers);
    this.#stream.end(frame);
  }

  /** `chunks` came before the backend was known. */
  #connect(backend: Upstream, headers: readonly string[], chunks: readonly Buffer[]): void {
    const opened = backend.stream(headers, this.#listener());
    if (typeof opened === "string") {
      const { restsMs } = backend.health;
      const outcome = failed(opened, "no connection to the backend");
      this.refuse(errorOfOutcome({ ...outcome, ...(restsMs > 0 && { retryAfterMs: restsMs }) }));
      return;
    }
    this.#upstream = opened;
    this.#health = backend.health;
    for (const chunk of chunks) this.#onRequestData(opened, chunk);
    if (this.#over) return;
    this.#stream.on("data", (chunk: Buffer) => this.#onRequestData(opened, chunk));
    this.#stream.on("end", () => {
      if (this.#meter.partial) this.refuse(brokenOff());
      else opened.end();
    });
    this.#stream.on("drain", () => opened.resume());
  }

  #headers(procedure: Procedure, timeoutMs: number): string[] {
    const headers = [
      ":path",
      procedure.path,
      "te",
      "trailers",
      "content-type",
      this.#exchange.header("content-type") ?? "application/grpc",
      "grpc-timeout",
      `${Math.min(99_999_999, Math.max(1, Math.ceil(timeoutMs)))}m`,
    ];
    for (const name of ["grpc-encoding", "grpc-accept-encoding"]) {
      const value = this.#exchange.header(name);
      if (value !== undefined) headers.push(name, value);
    }
    return headers.concat(backendMetadata(this.#runtime, this.#exchange));
  }

  /** What the backend answers. It may be done before its caller has sent all. */
  #listener(): StreamListener {
    return {
      onHead: (headers) => this.#onResponse(headers),
      onData: (bytes) => {
        this.#exchange.responseBytes += bytes.length;
        // The bytes are lent.
        if (!this.#over && !this.#stream.write(Buffer.from(bytes))) this.#upstream?.pause();
      },
      onTrailers: (trailers) => {
        this.#trailers = trailers;
      },
      onEnd: () => this.#onUpstreamEnd("the backend's answer has no status"),
      onDrain: () => this.#stream.resume(),
      onReset: ({ reason }) => this.#onUpstreamEnd(reason),
    };
  }

  #onRequestData(upstream: ClientStream, chunk: Buffer): void {
    this.#exchange.requestBytes += chunk.length;
    const fault = this.#meter.read(chunk);
    if (fault !== undefined) {
      this.refuse(fault === "too-large" ? messageTooLarge() : undeclaredCompression());
      return;
    }
    if (!upstream.write(chunk)) this.#stream.pause();
  }

  #onResponse(headers: AnswerHeaders): void {
    if (this.#over) return;
    if (headers[":status"] !== 200) {
      this.refuse(errorOfOutcome(failed("malformed", `the backend answered HTTP ${headers[":status"]}`)));
      return;
    }
    this.#responded = true;
    const answer = {
      ...passOn(headers, this.#runtime.options.internalErrors),
      ...this.#exchange.answerHeaders,
    };
    if (headers["grpc-status"] !== undefined) {
      this.#finish(headers);
      this.#stream.respond(answer, { endStream: true });
      return;
    }
    this.#stream.respond(answer, { waitForTrailers: true });
    this.#stream.on("wantTrailers", () =>
      this.#stream.sendTrailers(passOn(this.#trailers ?? {}, this.#runtime.options.internalErrors)),
    );
  }

  #onUpstreamEnd(reason: string): void {
    if (this.#over) return;
    if (this.#trailers === undefined) {
      this.#health?.failed();
      this.refuse(errorOfOutcome(failed("lost", reason)));
      return;
    }
    this.#finish(this.#trailers);
    this.#stream.end();
    this.#upstream?.reset(errorCode.none);
  }

  #finish(trailers: IncomingHttpHeaders): void {
    this.#over = true;
    clearTimeout(this.#timer);
    const code = Number(trailers["grpc-status"]);
    this.#health?.[code === Code.UNAVAILABLE ? "failed" : "succeeded"]();
    this.#exchange.settle(200, code);
  }

  #onClientClose(): void {
    this.#upstream?.reset(errorCode.cancel);
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#local?.cancel();
    this.#exchange.settle(499, Code.CANCELLED);
  }
}
