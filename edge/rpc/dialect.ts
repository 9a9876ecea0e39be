import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Procedure } from "../routing/route-table.ts";

/** How a caller writes its messages and wants its answers. */
export interface Dialect {
  readonly form: "connect-unary" | "connect-get" | "connect-stream" | "grpc-web" | "grpc-web-text" | "grpc";
  /** Whether messages are ProtoJSON; else they are protobuf, and pass as they are. */
  readonly json: boolean;
  /** The content type of the answer. */
  readonly contentType: string;
}

const envelopes: Readonly<Record<string, Dialect["form"]>> = {
  "application/connect": "connect-stream",
  "application/grpc-web": "grpc-web",
  "application/grpc-web-text": "grpc-web-text",
  "application/grpc": "grpc",
};

/** Tells how a request of an RPC is written; throws an {@link EdgeError} for a method or content type the RPC does not take (405, 415). */
export function readDialect(
  { method }: Procedure,
  httpMethod: string,
  contentType: string | undefined,
  query: URLSearchParams,
): Dialect {
  const unary = method.methodKind === "unary";
  const cacheable = unary && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  if (httpMethod === "GET" && cacheable) return readGet(query);
  if (httpMethod !== "POST") throw methodNotAllowed(cacheable ? "GET, POST" : "POST");
  const [, type = "", parameters = ""] =
    /^\s*([^;\s]+)\s*(?:;\s*(.*?)\s*)?$/.exec(contentType?.toLowerCase() ?? "") ?? [];
  const plain = unary ? plainDialect(type, parameters) : undefined;
  const dialect = plain ?? envelopedDialect(type);
  if (dialect === undefined || (unary && dialect.form === "connect-stream")) throw unsupportedType(unary);
  return dialect;
}

function readGet(query: URLSearchParams): Dialect {
  const json = query.get("encoding") === "json";
  return { form: "connect-get", json, contentType: json ? "application/json" : "application/proto" };
}

function plainDialect(type: string, parameters: string): Dialect | undefined {
  if (type === "application/proto") return { form: "connect-unary", json: false, contentType: type };
  if (type !== "application/json" || !/^(?:charset="?utf-?8"?)?$/.test(parameters)) return undefined;
  return { form: "connect-unary", json: true, contentType: type };
}

function envelopedDialect(type: string): Dialect | undefined {
  const [base = "", codec = "proto"] = type.split("+");
  const form = envelopes[base];
  if (form === undefined || (codec !== "proto" && codec !== "json")) return undefined;
  if (form === "connect-stream" && !type.includes("+")) return undefined;
  return { form, json: codec === "json", contentType: type };
}

function methodNotAllowed(allow: string): EdgeError {
  return new EdgeError({
    code: Code.UNIMPLEMENTED,
    httpStatus: 405,
    reason: "METHOD_NOT_ALLOWED",
    message: `this method answers ${allow}`,
    headers: { allow },
  });
}

function unsupportedType(unary: boolean): EdgeError {
  const prefix = unary ? "application/" : "application/connect+";
  const types = `${prefix}proto, ${prefix}json, application/grpc-web+proto, application/grpc-web+json`;
  return new EdgeError({
    code: Code.INVALID_ARGUMENT,
    httpStatus: 415,
    reason: "UNSUPPORTED_CONTENT_TYPE",
    message: `this method takes ${types}`,
    headers: { "accept-post": types },
  });
}
