import { type EdgeError, toEdgeError } from "../edge-error.ts";
import { errorOfOutcome } from "../grpc/error-reasons.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { answerHeadersFrom } from "../runtime.ts";
import type { Call, Outcome } from "../upstream/call.ts";
import { problemFor, type Response, sendProblem, writeHead } from "./answer.ts";
import type { RestContext } from "./rest-context.ts";
import { type Framing, framingFor, rawFraming } from "./stream-framing.ts";
import type { Responder } from "./unary-response.ts";

/** Answers a server stream in the framing that Accept asks for (R6). */
export function streamResponder(context: RestContext, route: RestRoute): Responder {
  const framing = route.rawResponse ? rawFraming : framingFor(context.exchange.header("accept"));
  return new StreamResponder(context, route, framing);
}

class StreamResponder implements Responder {
  readonly #context: RestContext;
  readonly #route: RestRoute;
  readonly #framing: Framing;
  #call: Call | undefined;
  #headers: Record<string, string> | undefined;
  #started = false;
  #first = true;
  #over = false;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(context: RestContext, route: RestRoute, framing: Framing) {
    this.#context = context;
    this.#route = route;
    this.#framing = framing;
  }

  started(call: Call): void {
    this.#call = call;
    // A stream that has nothing to say yet still opens, so that callers and proxies see it live.
    this.#heartbeat = setInterval(() => this.#beat(), this.#context.runtime.limits.heartbeatMs);
    this.#context.response.on("drain", () => call.resume());
  }

  onHeaders(headers: Outcome["headers"]): void {
    this.#headers = answerHeadersFrom(this.#context.runtime, headers);
  }

  onMessage(message: Buffer): void {
    if (this.#over) return;
    try {
      const { bytes, contentType } = this.#route.encode(message);
      this.#open(contentType);
      this.#write(this.#framing.message(bytes, this.#first));
      this.#first = false;
    } catch (error) {
      this.#call?.cancel();
      this.fail(toEdgeError(error));
    }
  }

  onEnd(outcome: Outcome): void {
    clearInterval(this.#heartbeat);
    if (outcome.failure === "cancelled" || this.#over) return;
    if (outcome.code !== Code.OK) {
      this.fail(errorOfOutcome(outcome, this.#context.runtime.options.internalErrors));
      return;
    }
    const { exchange, response } = this.#context;
    this.#open(this.#framing.contentType);
    if (this.#over) return;
    this.#over = true;
    response.end(this.#framing.closing);
    exchange.settle(this.#route.procedure.policy.httpStatus, Code.OK);
  }

  fail(error: EdgeError): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#heartbeat);
    const { exchange, response, runtime } = this.#context;
    if (!this.#started) {
      sendProblem(runtime, exchange, response, error);
      return;
    }
    if (this.#framing === rawFraming) cutOff(response);
    else response.end(this.#framing.error(problemFor(runtime, exchange, error), this.#first));
    exchange.settle(this.#route.procedure.policy.httpStatus, error.code, error);
  }

  #beat(): void {
    if (this.#framing === rawFraming) return;
    this.#open(this.#framing.contentType);
    if (this.#framing.heartbeat !== undefined) this.#write(this.#framing.heartbeat);
  }

  #open(contentType: string): void {
    if (this.#started) return;
    this.#started = true;
    const { exchange, response, runtime } = this.#context;
    writeHead(runtime, response, this.#route.procedure.policy.httpStatus, {
      "content-type": this.#framing === rawFraming ? contentType : this.#framing.contentType,
      "cache-control": "no-store",
      // Tells buffering proxies to pass each event on at once.
      "x-accel-buffering": "no",
      ...this.#headers,
      ...exchange.answerHeaders,
    });
    if ("flushHeaders" in response) response.flushHeaders();
    if (exchange.httpMethod === "HEAD") {
      this.#over = true;
      response.end();
      this.#call?.cancel();
      exchange.settle(this.#route.procedure.policy.httpStatus, Code.OK);
      return;
    }
    if (this.#framing.opening !== "") this.#write(this.#framing.opening);
  }

  #write(chunk: Buffer | string): void {
    if (this.#over || this.#context.response.destroyed) return;
    this.#context.exchange.responseBytes += chunk.length;
    if (!(this.#context.response as NodeJS.WritableStream).write(chunk)) this.#call?.pause();
  }
}

/** Ends a body so that its reader notices that it is not whole. */
function cutOff(response: Response): void {
  response.destroy();
}
