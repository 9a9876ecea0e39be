import { type EdgeError, toEdgeError } from "../edge-error.ts";
import { errorOfOutcome } from "../grpc/error-reasons.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { chooseEncodingFor, compressBody } from "../rpc/compression.ts";
import { answerHeadersFrom } from "../runtime.ts";
import { type Call, type CallListener, failed, type Outcome } from "../upstream/call.ts";
import { type Head, sendAnswer, sendProblem } from "./answer.ts";
import type { RestContext } from "./rest-context.ts";

/** A listener that turns a call into a REST answer. */
export interface Responder extends CallListener {
  /** Gives it the call it listens to, before anything arrives. */
  started(call: Call): void;
  /** Ends the answer with an error of the edge's own, in whatever form is left. */
  fail(error: EdgeError): void;
}

/** Answers a unary call: one message and OK, or a problem. */
export function unaryResponder(context: RestContext, route: RestRoute): Responder {
  let message: Buffer | undefined;
  let messages = 0;
  return {
    started: () => undefined,
    fail: (error) => sendProblem(context.runtime, context.exchange, context.response, error),
    onMessage(bytes) {
      message = bytes;
      messages++;
    },
    onEnd(outcome) {
      answerUnary(context, route, outcome, messages === 1 ? message : undefined);
    },
  };
}

function answerUnary(
  context: RestContext,
  route: RestRoute,
  outcome: Outcome,
  message: Buffer | undefined,
): void {
  const { runtime, exchange, response } = context;
  if (outcome.failure === "cancelled") return;
  if (outcome.code !== Code.OK || message === undefined) {
    const ended = outcome.code === Code.OK ? failed("malformed", "not one message") : outcome;
    sendProblem(runtime, exchange, response, errorOfOutcome(ended, runtime.options.internalErrors));
    return;
  }
  try {
    sendMessage(context, route, outcome, message);
  } catch (error) {
    sendProblem(runtime, exchange, response, toEdgeError(error));
  }
}

function sendMessage(context: RestContext, route: RestRoute, outcome: Outcome, message: Buffer): void {
  const { runtime, exchange, response } = context;
  const { bytes, contentType } = route.encode(message);
  const status = route.procedure.policy.httpStatus;
  const headers: Head = answerHeadersFrom(runtime, outcome.headers);
  headers["content-type"] = contentType;
  const send = (body: Buffer): void => {
    sendAnswer(runtime, exchange, response, status, headers, body);
    exchange.settle(status, Code.OK);
  };
  // What a backend gives as raw bytes may be compressed already.
  const encoding = route.rawResponse
    ? undefined
    : chooseEncodingFor(bytes, exchange.header("accept-encoding"));
  const compressed = compressBody(encoding, bytes);
  if (encoding === undefined || compressed === undefined) {
    send(bytes);
    return;
  }
  headers["content-encoding"] = encoding;
  const { vary } = exchange.answerHeaders;
  exchange.setHeader("vary", vary === undefined ? "accept-encoding" : `${vary}, accept-encoding`);
  if (Buffer.isBuffer(compressed)) send(compressed);
  else
    compressed.then(send, (error: unknown) => sendProblem(runtime, exchange, response, toEdgeError(error)));
}
