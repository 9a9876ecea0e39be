import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Document } from "../options.ts";
import { sendAnswer, sendProblem } from "./answer.ts";
import type { RestContext } from "./rest-context.ts";

/** A document in one encoding, with the tag of just these bytes. */
interface Form {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly encoding: "gzip" | undefined;
}

interface Forms {
  readonly plain: Form;
  /** Undefined where compressing saves nothing. */
  readonly gzip: Form | undefined;
}

const formsOf = new WeakMap<Document, Forms>();

/** Answers GET and HEAD with a document, compressed for callers who take that, with 304 where the caller has it already. */
export function serveDocument({ runtime, exchange, response }: RestContext, document: Document): void {
  const { httpMethod } = exchange;
  if (httpMethod !== "GET" && httpMethod !== "HEAD") {
    sendProblem(runtime, exchange, response, readOnly());
    return;
  }
  for (const [name, value] of Object.entries(document.headers ?? {})) exchange.setHeader(name, value);
  exchange.setHeader("vary", "origin, accept-encoding");
  const forms = formsOf.get(document) ?? encode(document);
  formsOf.set(document, forms);
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(
    exchange.header("accept-encoding") ?? "",
  );
  const { bytes, etag, encoding } = (takesGzip ? forms.gzip : undefined) ?? forms.plain;
  const known = (exchange.header("if-none-match") ?? "").includes(etag);
  if (known) sendAnswer(runtime, exchange, response, 304, { etag }, undefined);
  else {
    const { contentType } = document;
    const headers = { "content-type": contentType, etag, ...(encoding && { "content-encoding": encoding }) };
    sendAnswer(runtime, exchange, response, 200, headers, bytes);
  }
  exchange.settle(known ? 304 : 200, Code.OK);
}

function encode({ bytes }: Document): Forms {
  const zipped = gzipSync(bytes);
  const plain = { bytes, etag: tagOf(bytes), encoding: undefined };
  const saves = zipped.length < bytes.length * 0.9;
  return { plain, gzip: saves ? { bytes: zipped, etag: tagOf(zipped), encoding: "gzip" } : undefined };
}

const tagOf = (bytes: Buffer) => `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;

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
