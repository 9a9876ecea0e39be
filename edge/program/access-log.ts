import type { Writable } from "node:stream";
import type { Settled } from "../options.ts";

/** Lines waiting for a slow reader of the log; more are dropped, since a log must not stop the traffic. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Writes one JSON line for each request. Headers, query and bodies are left out: they may hold what nobody should read. */
export function createAccessLog(out: Writable): (settled: Settled) => void {
  return (settled) => {
    if (out.writableLength < maxWaitingBytes) out.write(`${accessLine(settled)}\n`);
  };
}

/** The line of a request; JSON escapes line ends and control characters that a caller may have put in its target. */
export function accessLine({ request, method, route, ...facts }: Settled): string {
  const query = request.target.indexOf("?");
  return JSON.stringify({
    time: new Date().toISOString(),
    remoteAddress: request.remoteAddress,
    protocol: request.protocol,
    httpMethod: request.httpMethod,
    path: (query === -1 ? request.target : request.target.slice(0, query)).slice(0, 512),
    rpc: method && `${method.parent.typeName}/${method.name}`,
    route: route?.template,
    httpStatus: facts.httpStatus,
    code: facts.code,
    reason: facts.reason,
    durationMs: Math.round(facts.durationMs * 1_000) / 1_000,
    requestBytes: facts.requestBytes,
    responseBytes: facts.responseBytes,
    traceparent: request.header("traceparent")?.slice(0, 64),
    userAgent: request.header("user-agent")?.slice(0, 200),
    cause: facts.error?.cause === undefined ? undefined : String(facts.error.cause).slice(0, 500),
  });
}
