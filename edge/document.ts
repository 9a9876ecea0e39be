import { createHash } from "node:crypto";
import { sendAnswer, sendProblem } from "./answer.ts";
import { EdgeError } from "./edge-error.ts";
import { Code } from "./grpc-code.ts";
import type { Document } from "./options.ts";
import type { RestContext } from "./rest-context.ts";

const tags = new WeakMap<Document, string>();

/** Answers GET and HEAD with a document, with 304 where the caller has it already. */
export function serveDocument({ runtime, exchange, response }: RestContext, document: Document): void {
  const { httpMethod } = exchange;
  if (httpMethod !== "GET" && httpMethod !== "HEAD") {
    sendProblem(runtime, exchange, response, readOnly());
    return;
  }
  for (const [name, value] of Object.entries(document.headers ?? {})) exchange.setHeader(name, value);
  const etag = tagOf(document);
  const known = (exchange.header("if-none-match") ?? "").includes(etag);
  const headers = { "content-type": document.contentType, etag };
  if (known) sendAnswer(runtime, exchange, response, 304, { etag }, undefined);
  else sendAnswer(runtime, exchange, response, 200, headers, document.bytes);
  exchange.settle(known ? 304 : 200, Code.OK);
}

function tagOf(document: Document): string {
  let tag = tags.get(document);
  if (tag === undefined) {
    tag = `"${createHash("sha256").update(document.bytes).digest("base64url").slice(0, 22)}"`;
    tags.set(document, tag);
  }
  return tag;
}

const allow = "GET, HEAD";

function readOnly(): EdgeError {
  return new EdgeError({
    code: Code.UNIMPLEMENTED,
    httpStatus: 405,
    reason: "METHOD_NOT_ALLOWED",
    message: `this resource answers ${allow}`,
    headers: { allow },
  });
}
