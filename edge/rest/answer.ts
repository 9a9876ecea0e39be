import type { OutgoingHttpHeader, ServerResponse } from "node:http";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import type { EdgeError } from "../edge-error.ts";
import type { Exchange } from "../exchange.ts";
import { valueAt } from "../header-fields.ts";
import type { Problem } from "../options.ts";
import type { Runtime } from "../runtime.ts";
import { headersOf, problemOf } from "./problem.ts";

/** A response over HTTP/1.1 or HTTP/2. */
export type Response = ServerResponse | Http2ServerResponse;

/** Headers of an answer as they are sent. */
export type Head = Record<string, string | string[] | number>;

/** Sends a whole answer in one write; HEAD gets its headers only. The headers may be added to. */
export function sendAnswer(
  runtime: Runtime,
  exchange: Exchange,
  response: Response,
  status: number,
  headers: Head,
  bytes: Buffer | undefined,
): void {
  if (response.headersSent || response.destroyed) return;
  // RFC 9110: 204 and 304 have no body, and 204 no length either; a method's own status may be such a one.
  const body = status === 204 || status === 304 ? undefined : bytes;
  if (body !== undefined) headers["content-length"] = body.length;
  else if (bytes !== undefined) delete headers["content-type"];
  exchange.responseBytes = body?.length ?? 0;
  if ("stream" in response) respond(response.stream, status, { ...headers, ...exchange.answerHeaders });
  else {
    if (runtime.state.draining) headers.connection = "close";
    response.writeHead(status, joined(headers, exchange.answerFields));
  }
  if (body === undefined || exchange.httpMethod === "HEAD") response.end();
  else response.end(body);
}

/** Names and values in turn, as node takes them without looking each up again; those of `own` replace others. */
function joined(headers: Head, own: readonly string[]): OutgoingHttpHeader[] {
  const fields: OutgoingHttpHeader[] = [];
  for (const name in headers) if (valueAt(own, name) === -1) fields.push(name, headers[name] as string);
  for (const text of own) fields.push(text);
  return fields;
}

/** Sends the head of an answer; while draining, HTTP/1.1 connections end with it. */
export function writeHead(runtime: Runtime, response: Response, status: number, headers: Head): void {
  if ("stream" in response) respond(response.stream, status, headers);
  else {
    if (runtime.state.draining) headers.connection = "close";
    response.writeHead(status, headers);
  }
}

/**
 * Node's own writeHead would announce trailers, and so end the stream by a frame of its own behind the answer's last: a caller who
 * has read all by then may give up the rest of its request, and be taken for one who broke off.
 */
function respond(stream: ServerHttp2Stream, status: number, headers: Head): void {
  if (stream.destroyed || stream.closed) return;
  headers[":status"] = status;
  // A wish about the connection, which HTTP/2 does not know.
  if ("connection" in headers) delete headers.connection;
  stream.respond(headers);
}

/** The problem document of an error, with the gateway's last word. */
export function problemFor(runtime: Runtime, exchange: Exchange, error: EdgeError): Problem {
  const problem = problemOf(error);
  return runtime.options.problem?.(problem, exchange) ?? problem;
}

/** Answers with the error's problem document and reports the end. */
export function sendProblem(
  runtime: Runtime,
  exchange: Exchange,
  response: Response,
  error: EdgeError,
): void {
  const problem = problemFor(runtime, exchange, error);
  const bytes = Buffer.from(JSON.stringify(problem));
  const headers = { "content-type": "application/problem+json", ...headersOf(error) };
  sendAnswer(runtime, exchange, response, problem.status, headers, bytes);
  exchange.settle(problem.status, error.code, error);
}
