import { badRequest, EdgeError, toEdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Match } from "../routing/matcher.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { isClientStream } from "../routing/rules.ts";
import { admitUnmatched } from "../unmatched.ts";
import { destinationOf } from "../upstream/backend-choice.ts";
import type { Call } from "../upstream/call.ts";
import { sendAnswer, sendProblem } from "./answer.ts";
import { CallerStream } from "./caller-stream.ts";
import { serveDocument } from "./document.ts";
import { decodeBody, readBody } from "./request-body.ts";
import { encodeRequest } from "./request-message.ts";
import { callRequestFor, responderFor } from "./rest-call.ts";
import type { RestContext } from "./rest-context.ts";

// A fragment never leaves its browser, and letters outside ASCII are escaped (RFC 3986, RFC 9112 3.2): whoever stands before us
// may read them differently, and HTTP/2 hands over bytes that are no UTF-8 as other characters.
const noTarget = /[#\u0080-\uffff]/;

/** Serves a request that is neither gRPC nor Connect: routes it, or answers 404, 405 or OPTIONS (M11, M12). */
export function serveRest(context: RestContext): void {
  const { exchange, runtime } = context;
  if (noTarget.test(exchange.target))
    throw badRequest("INVALID_PATH", "the target holds what no target holds");
  const at = exchange.target.indexOf("?");
  const path = at === -1 ? exchange.target : exchange.target.slice(0, at);
  const match = runtime.table.matcher.match(exchange.httpMethod, path);
  if (match === undefined)
    admitUnmatched(
      runtime,
      exchange,
      () => answerUnmatched(context, path),
      (error) => sendProblem(runtime, exchange, context.response, error),
    );
  else new RestCall(context, match, at === -1 ? "" : exchange.target.slice(at + 1)).start();
}

function answerUnmatched(context: RestContext, path: string): void {
  const { runtime, exchange, response } = context;
  const document = runtime.options.documentAt?.(path);
  if (document !== undefined) {
    serveDocument(context, document);
    return;
  }
  // The server as a whole (RFC 9110, 9.3.7) answers whatever some route of it does.
  const allowed =
    path === "*" && exchange.httpMethod === "OPTIONS"
      ? runtime.table.matcher.methods()
      : runtime.table.matcher.allowed(path);
  const allow = allowed.join(", ");
  if (exchange.httpMethod === "OPTIONS" && allowed.length > 0) {
    sendAnswer(runtime, exchange, response, 204, { allow }, undefined);
    exchange.settle(204, Code.OK);
    return;
  }
  const error =
    allowed.length === 0
      ? new EdgeError({
          code: Code.NOT_FOUND,
          reason: "ROUTE_NOT_FOUND",
          message: "there is no such resource",
        })
      : new EdgeError({
          code: Code.UNIMPLEMENTED,
          httpStatus: 405,
          reason: "METHOD_NOT_ALLOWED",
          message: `this resource answers ${allow}`,
          headers: { allow },
        });
  sendProblem(runtime, exchange, response, error);
}

/** One routed request: admission and body side by side, then the call, then the answer. */
class RestCall {
  readonly #context: RestContext;
  readonly #match: Match<RestRoute>;
  readonly #query: string;
  #admitted = false;
  #body: Buffer | undefined;
  #over = false;
  #call: Pick<Call, "cancel"> | undefined;

  constructor(context: RestContext, match: Match<RestRoute>, query: string) {
    this.#context = context;
    this.#match = match;
    this.#query = query;
  }

  start(): void {
    const { exchange, response, runtime } = this.#context;
    const { entry } = this.#match;
    const call = exchange.matched(entry.procedure, entry);
    response.on("close", () => this.#onClose());
    try {
      const pending = runtime.options.admit?.(call);
      if (pending === undefined) this.#onAdmitted();
      else
        pending.then(
          () => this.#onAdmitted(),
          (error: unknown) => this.#refuse(error),
        );
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (!this.#streams()) this.#read();
  }

  /** Whether the body is a stream of messages, which only flows once the caller is admitted. */
  #streams(): boolean {
    const { method, shape } = this.#match.entry;
    return isClientStream(method) && shape.body !== undefined;
  }

  #read(): void {
    const { request } = this.#context;
    const { shape, procedure } = this.#match.entry;
    if (shape.body === undefined) {
      this.#onBody(undefined, Buffer.alloc(0));
      return;
    }
    const maxBytes = procedure.policy.maxRequestBytes;
    const timeoutMs = this.#context.runtime.limits.requestTimeoutMs;
    readBody(request, { maxBytes, timeoutMs }, (error, bytes) => {
      this.#context.exchange.requestBytes = bytes.length;
      const encoding = request.headers["content-encoding"];
      if (error !== undefined || encoding === undefined || bytes.length === 0) this.#onBody(error, bytes);
      else
        decodeBody(encoding, bytes, maxBytes).then(
          (decoded) => this.#onBody(undefined, decoded),
          (thrown: unknown) => this.#refuse(thrown),
        );
    });
  }

  #onAdmitted(): void {
    this.#admitted = true;
    if (this.#streams()) this.#stream();
    else if (this.#body !== undefined) this.#send(this.#body);
  }

  #onBody(error: EdgeError | undefined, bytes: Buffer): void {
    if (error !== undefined) this.#refuse(error);
    else if (this.#admitted) this.#send(bytes);
    else this.#body = bytes;
  }

  #stream(): void {
    if (this.#over) return;
    const stream = new CallerStream(this.#context, this.#match, this.#query);
    this.#call = stream;
    try {
      stream.start();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #send(body: Buffer): void {
    if (this.#over) return;
    const { request, runtime } = this.#context;
    const { entry, segments } = this.#match;
    try {
      const contentType = request.headers["content-type"];
      const message = encodeRequest(
        entry.shape,
        { segments, query: this.#query, contentType, body },
        runtime.reading,
      );
      const callee = destinationOf(entry.procedure.destination, message);
      const responder = responderFor(this.#context, entry);
      const call = callee.call(callRequestFor(this.#context, entry, message), responder);
      this.#call = call;
      responder.started(call);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(thrown: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const { exchange, response, runtime } = this.#context;
    sendProblem(runtime, exchange, response, toEdgeError(thrown));
  }

  /** The response closes after every answer, which was reported then; before one, the caller has gone. */
  #onClose(): void {
    this.#over = true;
    this.#call?.cancel();
    this.#context.exchange.settle(499, Code.CANCELLED);
  }
}
