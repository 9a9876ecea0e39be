import { EdgeError, toEdgeError } from "../edge-error.ts";
import type { Exchange } from "../exchange.ts";
import { Code } from "../grpc/grpc-code.ts";
import { sendProblem } from "../rest/answer.ts";
import type { RestContext } from "../rest/rest-context.ts";
import type { Procedure } from "../routing/route-table.ts";
import type { Runtime } from "../runtime.ts";
import { admitUnmatched } from "../unmatched.ts";
import { createSink } from "./create-sink.ts";
import { type Dialect, readDialect } from "./dialect.ts";
import { createJsonCodec, type MessageCodec, protobufCodec } from "./message-codec.ts";
import { RpcCall } from "./rpc-call.ts";

/** Serves one request of the Connect or gRPC-Web protocol, or of gRPC where its messages cannot just pass. */
export type RpcServer = (context: RestContext, path: string) => void;

/** Makes a server of all procedures. */
export function createRpcServer(runtime: Runtime): RpcServer {
  const jsonCodecs = new Map<Procedure, MessageCodec>();
  for (const procedure of runtime.table.procedures.values())
    jsonCodecs.set(procedure, createJsonCodec(procedure.method, runtime.reading));
  return (context, path) => {
    const { exchange, response } = context;
    try {
      serve(context, path, (procedure, { json }) =>
        json ? (jsonCodecs.get(procedure) ?? protobufCodec) : protobufCodec,
      );
    } catch (error) {
      sendProblem(runtime, exchange, response, toEdgeError(error));
    }
  };
}

function serve(
  context: RestContext,
  path: string,
  codecFor: (procedure: Procedure, dialect: Dialect) => MessageCodec,
): void {
  const { runtime, exchange, request } = context;
  const procedure = runtime.table.procedures.get(path);
  if (procedure === undefined) {
    admitUnmatched(
      runtime,
      exchange,
      () => refuseUnknown(context, unknownMethod(exchange)),
      (error) => refuseUnknown(context, error),
    );
    return;
  }
  const at = exchange.target.indexOf("?");
  const query = new URLSearchParams(at === -1 ? "" : exchange.target.slice(at + 1));
  exchange.matched(procedure, undefined);
  const dialect = readDialect(procedure, exchange.httpMethod, request.headers["content-type"], query);
  if (procedure.method.methodKind === "bidi_streaming" && request.httpVersionMajor < 2) throw needsHttp2();
  new RpcCall(
    context,
    { procedure, dialect, query, codec: codecFor(procedure, dialect) },
    createSink(context, dialect),
  ).start();
}

/** gRPC has a status for it; callers of the other protocols read UNIMPLEMENTED out of 404. */
function unknownMethod({ protocol }: Exchange): EdgeError {
  return new EdgeError({
    code: protocol === "grpc" ? Code.UNIMPLEMENTED : Code.NOT_FOUND,
    reason: "ROUTE_NOT_FOUND",
    message: "there is no such method",
    plain: true,
  });
}

function refuseUnknown(context: RestContext, error: EdgeError): void {
  const { runtime, exchange, response } = context;
  if (exchange.protocol !== "grpc") {
    sendProblem(runtime, exchange, response, error);
    return;
  }
  const contentType = exchange.header("content-type") ?? "application/grpc";
  exchange.settle(
    createSink(context, { form: "grpc", json: false, contentType }).finish(error, {}),
    error.code,
    error,
  );
}

function needsHttp2(): EdgeError {
  return new EdgeError({
    code: Code.UNIMPLEMENTED,
    httpStatus: 505,
    reason: "HTTP2_REQUIRED",
    message: "streams in both directions need HTTP/2",
    headers: { connection: "close" },
  });
}
