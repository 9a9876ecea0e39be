import type { Readable } from "node:stream";
import { type EdgeError, toEdgeError } from "../edge-error.ts";
import type { Match } from "../routing/matcher.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { destinationOf } from "../upstream/backend-choice.ts";
import type { Call, CallListener } from "../upstream/call.ts";
import { JsonSplitter } from "./json-splitter.ts";
import { decodingStream, tooSlow } from "./request-body.ts";
import { checkJsonStreamType, encodeRequest } from "./request-message.ts";
import { callRequestFor, responderFor } from "./rest-call.ts";
import type { RestContext } from "./rest-context.ts";
import type { Responder } from "./unary-response.ts";

// What others' gateways cut raw bodies into; a smaller limit of the method wins.
const maxRawBytes = 1024 * 1024;

/**
 * One request whose body is a stream of messages (R8): JSON values as they arrive, or raw bytes (B13). The backend's pace is
 * the caller's; the query belongs to every message of JSON, and to the first of raw bytes.
 */
export class CallerStream implements Pick<Call, "cancel"> {
  readonly #context: RestContext;
  readonly #route: RestRoute;
  readonly #query: string;
  readonly #responder: Responder;
  readonly #splitter: JsonSplitter;
  #body: Readable | undefined;
  #call: Call | undefined;
  #late: NodeJS.Timeout | undefined;
  #sent = 0;
  #over = false;

  constructor(context: RestContext, { entry }: Match<RestRoute>, query: string) {
    this.#context = context;
    this.#route = entry;
    this.#query = query;
    this.#responder = responderFor(context, entry);
    this.#splitter = new JsonSplitter(entry.procedure.policy.maxRequestBytes);
  }

  /** Starts reading; throws an {@link EdgeError} for a body it cannot read. */
  start(): void {
    const { request, runtime } = this.#context;
    if (!this.#route.shape.rawBody) checkJsonStreamType(request.headers["content-type"]);
    const body = decodingStream(request, request.headers["content-encoding"], (error) => this.#fail(error));
    this.#body = body;
    const { destination } = this.#route.procedure;
    // A backend that the messages do not choose may speak before the caller does; then its deadline is the caller's too.
    if (!("choose" in destination)) this.#call = this.#open(undefined);
    else this.#late = setTimeout(() => this.#fail(tooSlow()), runtime.limits.requestTimeoutMs);
    body.on("data", (chunk: Buffer) => this.#guarded(() => this.#onData(chunk)));
    body.on("end", () => this.#guarded(() => this.#onEnd()));
  }

  cancel(): void {
    this.#over = true;
    clearTimeout(this.#late);
    this.#call?.cancel();
  }

  #onData(chunk: Buffer): void {
    this.#context.exchange.requestBytes += chunk.length;
    if (!this.#route.shape.rawBody) this.#splitter.push(chunk, (text) => this.#send(text));
    else {
      const step = Math.min(maxRawBytes, this.#route.procedure.policy.maxRequestBytes);
      for (let at = 0; at < chunk.length; at += step) this.#send(chunk.subarray(at, at + step));
    }
  }

  #onEnd(): void {
    const { rawBody } = this.#route.shape;
    if (!rawBody) this.#splitter.end((text) => this.#send(text));
    // Without a byte there is still what path, query and type say.
    else if (this.#sent === 0) this.#send(Buffer.alloc(0));
    this.#call ??= this.#open(undefined);
    this.#call.end();
  }

  #send(body: Buffer): void {
    const { shape } = this.#route;
    const { request, runtime } = this.#context;
    const isLater = shape.rawBody && this.#sent++ > 0;
    const message = encodeRequest(
      shape,
      {
        segments: [],
        query: isLater ? "" : this.#query,
        contentType: shape.rawBody && !isLater ? request.headers["content-type"] : undefined,
        body,
      },
      runtime.reading,
    );
    this.#call ??= this.#open(message);
    if (!this.#call.send(message)) this.#body?.pause();
  }

  #open(first: Uint8Array | undefined): Call {
    const { destination } = this.#route.procedure;
    const callee = destinationOf(destination, first ?? new Uint8Array());
    clearTimeout(this.#late);
    const responder = this.#responder;
    const listener: CallListener = {
      onHeaders: (headers) => responder.onHeaders?.(headers),
      onMessage: (message) => responder.onMessage(message),
      onDrain: () => this.#body?.resume(),
      onEnd: (outcome) => {
        this.#over = true;
        responder.onEnd(outcome);
        // What the backend did not wait for is read and forgotten, so that the connection can be used again.
        this.#body?.resume();
      },
    };
    const call = callee.call(callRequestFor(this.#context, this.#route, undefined), listener);
    responder.started(call);
    return call;
  }

  #guarded(step: () => void): void {
    if (this.#over) return;
    try {
      step();
    } catch (error) {
      this.#fail(toEdgeError(error));
    }
  }

  /** A caller who goes on after the answer meets backpressure. */
  #fail(error: EdgeError): void {
    if (this.#over) return;
    this.#body?.pause();
    this.cancel();
    this.#responder.fail(error);
  }
}
