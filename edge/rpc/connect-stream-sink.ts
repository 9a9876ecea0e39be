import type { IncomingHttpHeaders } from "node:http2";
import { type EdgeError, publicText } from "../edge-error.ts";
import { writeHead } from "../rest/answer.ts";
import { headersOf } from "../rest/problem.ts";
import type { RestContext } from "../rest/rest-context.ts";
import { type AnswerHeaders, metadataOf } from "./answer-headers.ts";
import { chooseEncoding, supportedEncodings } from "./compression.ts";
import { connectErrorOf } from "./connect-error.ts";
import type { Dialect } from "./dialect.ts";
import { envelope } from "./envelope.ts";
import { createEnvelopeWriter } from "./envelope-writer.ts";
import type { Sink } from "./sink.ts";

const endFlag = 0x02;

/** Answers a streaming Connect call: 200, messages in envelopes, and a last envelope with trailers and, where there is one, the error. */
export function connectStreamSink(context: RestContext, dialect: Dialect): Sink {
  const { runtime, exchange, response } = context;
  const encoding = chooseEncoding(exchange.header("connect-accept-encoding"));
  const writer = createEnvelopeWriter(context, encoding);
  let started = false;
  const start = (headers: AnswerHeaders): void => {
    if (started) return;
    started = true;
    writeHead(runtime, response, 200, {
      ...headers,
      "content-type": dialect.contentType,
      "connect-accept-encoding": supportedEncodings,
      ...(encoding !== undefined && { "connect-content-encoding": encoding }),
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
      writer.end(envelope(endFlag, Buffer.from(JSON.stringify(endOf(error, trailers)))));
      return 200;
    },
  };
}

function endOf(error: EdgeError | undefined, trailers: IncomingHttpHeaders): object {
  const metadata = Object.entries(metadataOf(trailers)).map(([name, value]) => [name, [value].flat()]);
  return {
    ...(error !== undefined && { error: connectErrorOf(error, publicText(error)) }),
    ...(metadata.length > 0 && { metadata: Object.fromEntries(metadata) }),
  };
}
