import type { IncomingHttpHeaders } from "node:http2";
import type { EdgeError } from "../edge-error.ts";
import { trailersOf } from "../grpc/grpc-trailers.ts";
import { writeHead } from "../rest/answer.ts";
import { headersOf } from "../rest/problem.ts";
import type { RestContext } from "../rest/rest-context.ts";
import { type AnswerHeaders, metadataOf } from "./answer-headers.ts";
import { chooseEncoding, supportedEncodings } from "./compression.ts";
import type { Dialect } from "./dialect.ts";
import { envelope } from "./envelope.ts";
import { createEnvelopeWriter } from "./envelope-writer.ts";
import type { Sink } from "./sink.ts";

const trailersFlag = 0x80;

/** Answers a gRPC-Web call: 200, messages in envelopes, trailers as the last of them; as base64 for the text form. */
export function grpcWebSink(context: RestContext, dialect: Dialect): Sink {
  const { runtime, exchange, response } = context;
  const encoding = chooseEncoding(exchange.header("grpc-accept-encoding"));
  const text = dialect.form === "grpc-web-text";
  const writer = createEnvelopeWriter(
    context,
    encoding,
    text ? (bytes) => bytes.toString("base64") : undefined,
  );
  let started = false;
  const start = (headers: AnswerHeaders): void => {
    if (started) return;
    started = true;
    writeHead(runtime, response, 200, {
      ...headers,
      "content-type": dialect.contentType,
      "grpc-accept-encoding": supportedEncodings,
      ...(encoding !== undefined && { "grpc-encoding": encoding }),
      ...exchange.answerHeaders,
    });
  };
  return {
    onHeaders(headers) {
      start(metadataOf(headers));
      writer.flushHead();
    },
    onMessage(message) {
      start({});
      return writer.write(message);
    },
    finish(error, trailers) {
      start(error === undefined ? {} : headersOf(error));
      writer.end(envelope(trailersFlag, Buffer.from(trailerBlock(error, trailers), "latin1")));
      return 200;
    },
  };
}

/** Trailers as a block of HTTP/1.1 headers, status first. */
function trailerBlock(error: EdgeError | undefined, trailers: IncomingHttpHeaders): string {
  const all = {
    ...(error === undefined ? { "grpc-status": "0" } : trailersOf(error)),
    ...metadataOf(trailers),
  };
  return Object.entries(all)
    .flatMap(([name, value]) => [value].flat().map((item) => `${name}: ${item}\r\n`))
    .join("");
}
