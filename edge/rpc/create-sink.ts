import type { RestContext } from "../rest/rest-context.ts";
import { connectStreamSink } from "./connect-stream-sink.ts";
import { connectUnarySink } from "./connect-unary-sink.ts";
import type { Dialect } from "./dialect.ts";
import { grpcSink } from "./grpc-sink.ts";
import { grpcWebSink } from "./grpc-web-sink.ts";
import type { Sink } from "./sink.ts";

/** Creates the sink of a dialect. */
export function createSink(context: RestContext, dialect: Dialect): Sink {
  switch (dialect.form) {
    case "connect-unary":
    case "connect-get":
      return connectUnarySink(context, dialect);
    case "connect-stream":
      return connectStreamSink(context, dialect);
    case "grpc":
      return grpcSink(context, dialect);
    default:
      return grpcWebSink(context, dialect);
  }
}
