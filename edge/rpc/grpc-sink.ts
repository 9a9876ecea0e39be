import type { Http2ServerResponse } from "node:http2";
import { trailersOf } from "../grpc/grpc-trailers.ts";
import type { RestContext } from "../rest/rest-context.ts";
import { type AnswerHeaders, metadataOf } from "./answer-headers.ts";
import { chooseEncoding, supportedEncodings } from "./compression.ts";
import type { Dialect } from "./dialect.ts";
import { createEnvelopeWriter } from "./envelope-writer.ts";
import type { Sink } from "./sink.ts";

/** Answers a gRPC call whose messages do not just pass: JSON, or compressed by its caller. */
export function grpcSink(context: RestContext, dialect: Dialect): Sink {
  const { exchange } = context;
  // gRPC comes over HTTP/2 only.
  const response = context.response as Http2ServerResponse;
  const encoding = chooseEncoding(exchange.header("grpc-accept-encoding"));
  const writer = createEnvelopeWriter(context, encoding);
  let started = false;
  const start = (headers: AnswerHeaders): void => {
    if (started) return;
    started = true;
    response.writeHead(200, {
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
    finish(error, trailing) {
      const status = error === undefined ? { "grpc-status": "0" } : trailersOf(error);
      const trailers = { ...status, ...metadataOf(trailing) };
      // Without a message the status is in the headers, as gRPC servers have it.
      if (!started && error !== undefined) {
        const headers = { ":status": 200, "content-type": dialect.contentType, ...exchange.answerHeaders };
        if (!response.stream.destroyed)
          response.stream.respond({ ...headers, ...trailers }, { endStream: true });
        return 200;
      }
      start({});
      response.addTrailers(trailers);
      writer.end(undefined);
      return 200;
    },
  };
}
