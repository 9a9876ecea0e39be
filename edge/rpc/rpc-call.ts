import type { IncomingHttpHeaders } from "node:http2";
import { timeoutOf } from "../deadline.ts";
import { badRequest, EdgeError, toEdgeError } from "../edge-error.ts";
import { errorOfOutcome } from "../grpc/error-reasons.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { RestContext } from "../rest/rest-context.ts";
import type { Procedure } from "../routing/route-table.ts";
import { isClientStream } from "../routing/rules.ts";
import { backendMetadata } from "../runtime.ts";
import { destinationOf } from "../upstream/backend-choice.ts";
import { type Call, type CallListener, failed, type Outcome } from "../upstream/call.ts";
import { Upstream } from "../upstream/upstream.ts";
import type { Dialect } from "./dialect.ts";
import type { MessageCodec } from "./message-codec.ts";
import { readRequest } from "./request-reader.ts";
import type { Sink } from "./sink.ts";

/** An RPC as a caller asks for it. */
export interface RpcRequest {
  readonly procedure: Procedure;
  readonly dialect: Dialect;
  readonly query: URLSearchParams;
  readonly codec: MessageCodec;
}

/**
 * One call in a protocol other than plain gRPC: admission, then messages one by one to the backend and back. Its deadline begins
 * with the request and covers reading it.
 */
export class RpcCall {
  readonly #context: RestContext;
  readonly #request: RpcRequest;
  readonly #sink: Sink;
  readonly #callerStreams: boolean;
  readonly #answersOnce: boolean;
  #deadlineMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #call: Call | undefined;
  #message: Uint8Array | undefined;
  #answers = 0;
  #over = false;

  constructor(context: RestContext, request: RpcRequest, sink: Sink) {
    this.#context = context;
    this.#request = request;
    this.#sink = sink;
    const { method } = request.procedure;
    this.#callerStreams = isClientStream(method);
    this.#answersOnce = method.methodKind === "unary" || method.methodKind === "client_streaming";
  }

  start(): void {
    const { exchange, response, runtime } = this.#context;
    response.on("close", () => this.#onClose());
    const call = exchange.matched(this.#request.procedure, undefined);
    try {
      const pending = runtime.options.admit?.(call);
      if (pending === undefined) this.#begin();
      else
        pending.then(
          () => this.#begin(),
          (error: unknown) => this.refuse(toEdgeError(error)),
        );
    } catch (error) {
      this.refuse(toEdgeError(error));
    }
  }

  /** Ends the call with an error of the edge's own. */
  refuse(error: EdgeError): void {
    this.#finish(error, {});
    this.#call?.cancel();
  }

  #begin(): void {
    if (this.#over) return;
    const { exchange } = this.#context;
    const { procedure, dialect, query } = this.#request;
    try {
      checkVersion(dialect, exchange.header("connect-protocol-version"), query);
      const { maxTimeoutMs } = procedure.policy;
      const isConnect = dialect.form.startsWith("connect");
      const timeoutMs = timeoutOf(
        isConnect ? undefined : exchange.header("grpc-timeout"),
        isConnect ? exchange.header("connect-timeout-ms") : undefined,
        maxTimeoutMs,
      );
      this.#deadlineMs = performance.now() + timeoutMs;
      this.#timer = setTimeout(() => this.refuse(late()), timeoutMs);
      if (this.#callerStreams && procedure.destination instanceof Upstream)
        this.#open(procedure.destination, undefined);
      readRequest(this.#context, dialect, query, procedure.policy.maxRequestBytes, {
        onMessage: (message) => this.#onRequestMessage(message),
        onEnd: () => this.#onRequestEnd(),
        onFault: (error) => this.refuse(error),
      });
    } catch (error) {
      this.refuse(toEdgeError(error));
    }
  }

  #onRequestMessage(bytes: Buffer): void {
    if (this.#over) return;
    const { exchange, request } = this.#context;
    exchange.requestBytes += bytes.length;
    const message = this.#request.codec.request(bytes);
    if (!this.#callerStreams) {
      if (this.#message !== undefined) throw oneMessage("more than one message");
      this.#message = message;
      return;
    }
    if (this.#call === undefined) this.#openByMessage(message);
    if (this.#call?.send(message) === false) request.pause();
  }

  #onRequestEnd(): void {
    if (this.#over) return;
    if (this.#callerStreams) {
      if (this.#call === undefined) throw oneMessage("no message");
      this.#call.end();
    } else if (this.#message === undefined) throw oneMessage("no message");
    else this.#openByMessage(this.#message);
  }

  #openByMessage(message: Uint8Array): void {
    const callee = destinationOf(this.#request.procedure.destination, message);
    this.#open(callee, this.#callerStreams ? undefined : message);
  }

  #open(callee: ReturnType<typeof destinationOf>, message: Uint8Array | undefined): void {
    const { runtime, exchange, response } = this.#context;
    const { path, policy } = this.#request.procedure;
    clearTimeout(this.#timer);
    this.#call = callee.call(
      {
        path,
        metadata: backendMetadata(runtime, exchange),
        message,
        timeoutMs: Math.max(1, Math.ceil(this.#deadlineMs - performance.now())),
        maxResponseBytes: runtime.limits.maxResponseBytes,
        retryable: policy.retryable,
      },
      this.#listener(),
    );
    response.on("drain", () => this.#call?.resume());
  }

  #listener(): CallListener {
    return {
      onHeaders: (headers) => {
        if (!this.#over) this.#sink.onHeaders(headers);
      },
      onMessage: (bytes) => this.#onAnswer(bytes),
      onDrain: () => this.#context.request.resume(),
      onEnd: (outcome) => this.#onEnd(outcome),
    };
  }

  #onAnswer(bytes: Buffer): void {
    if (this.#over) return;
    try {
      if (++this.#answers > 1 && this.#answersOnce)
        throw errorOfOutcome(failed("malformed", "more than one message"));
      if (!this.#sink.onMessage(this.#request.codec.response(bytes))) this.#call?.pause();
    } catch (error) {
      this.refuse(toEdgeError(error));
    }
  }

  #onEnd(outcome: Outcome): void {
    if (this.#over) return;
    const missing = outcome.code === Code.OK && this.#answersOnce && this.#answers === 0;
    const ended = missing ? failed("malformed", "no message") : outcome;
    const error =
      ended.code === Code.OK
        ? undefined
        : errorOfOutcome(ended, this.#context.runtime.options.internalErrors);
    // A backend that fails at once has its trailers where headers are.
    this.#finish(error, outcome.headers["grpc-status"] === undefined ? outcome.trailers : outcome.headers);
  }

  #finish(error: EdgeError | undefined, trailers: IncomingHttpHeaders): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const status = this.#sink.finish(error, trailers);
    this.#context.exchange.settle(status, error?.code ?? Code.OK, error);
  }

  /** The response closes after every answer, which was reported then; before one, the caller has gone. */
  #onClose(): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    this.#over = true;
    this.#call?.cancel();
    this.#context.exchange.settle(499, Code.CANCELLED);
  }
}

function checkVersion({ form }: Dialect, header: string | undefined, query: URLSearchParams): void {
  if (!form.startsWith("connect")) return;
  const version = form === "connect-get" ? query.get("connect") : (header ?? null);
  const expected = form === "connect-get" ? "v1" : "1";
  if (version !== null && version !== expected)
    throw badRequest(
      "PROTOCOL_VERSION_UNSUPPORTED",
      `the version of the Connect protocol must be ${expected}`,
    );
}

function late(): EdgeError {
  return errorOfOutcome(failed("deadline", "the deadline has passed while the request was read"));
}

/** The protocols ask for this code where the number of messages is not the method's. */
function oneMessage(what: string): EdgeError {
  return new EdgeError({
    code: Code.UNIMPLEMENTED,
    reason: "REQUEST_MALFORMED",
    plain: true,
    message: `the request has ${what}, the method takes one`,
  });
}
