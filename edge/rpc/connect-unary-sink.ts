import { publicText } from "../edge-error.ts";
import { sendAnswer } from "../rest/answer.ts";
import { headersOf } from "../rest/problem.ts";
import type { RestContext } from "../rest/rest-context.ts";
import { type AnswerHeaders, metadataOf } from "./answer-headers.ts";
import { chooseEncodingFor, compress, supportedEncodings } from "./compression.ts";
import { connectErrorOf, connectStatusOf } from "./connect-error.ts";
import type { Dialect } from "./dialect.ts";
import type { Sink } from "./sink.ts";

/** Answers a unary Connect call: the message is the body, trailers are headers with a prefix, an error has a status of its own. */
export function connectUnarySink({ runtime, exchange, response }: RestContext, dialect: Dialect): Sink {
  let headers: AnswerHeaders = {};
  let message: Buffer | undefined;
  const send = (status: number, own: AnswerHeaders, bytes: Buffer): number => {
    sendAnswer(runtime, exchange, response, status, { ...headers, ...own }, bytes);
    return status;
  };
  return {
    onHeaders(initial) {
      headers = metadataOf(initial);
    },
    onMessage(bytes) {
      message = bytes;
      return true;
    },
    finish(error, trailing) {
      for (const [name, value] of Object.entries(metadataOf(trailing))) headers[`trailer-${name}`] = value;
      if (error === undefined) {
        const { body, own } = encodeBody(message ?? Buffer.alloc(0), exchange.header("accept-encoding"));
        return send(200, { "content-type": dialect.contentType, ...own }, body);
      }
      const own = {
        "content-type": "application/json",
        "accept-encoding": supportedEncodings,
        ...headersOf(error),
      };
      const text = JSON.stringify(connectErrorOf(error, publicText(error)));
      return send(error.httpStatus ?? connectStatusOf(error), own, Buffer.from(text));
    },
  };
}

function encodeBody(message: Buffer, accept: string | undefined): { body: Buffer; own: AnswerHeaders } {
  const encoding = chooseEncodingFor(message, accept);
  const compressed = compress(encoding, message);
  if (encoding === undefined || compressed === undefined) return { body: message, own: {} };
  return { body: compressed, own: { "content-encoding": encoding, vary: "accept-encoding" } };
}
