import { badRequest } from "./edge-error.ts";

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** The time a call may take: what the caller asks for by either header, capped by the route's maximum (X7). Throws 400 for a header that is none. */
export function timeoutOf(
  grpcTimeout: string | undefined,
  connectTimeoutMs: string | undefined,
  maxTimeoutMs: number,
): number {
  let timeoutMs = maxTimeoutMs;
  if (grpcTimeout !== undefined) timeoutMs = Math.min(timeoutMs, parseGrpcTimeout(grpcTimeout));
  if (connectTimeoutMs !== undefined) timeoutMs = Math.min(timeoutMs, parseConnectTimeout(connectTimeoutMs));
  return timeoutMs;
}

function parseGrpcTimeout(text: string): number {
  const parts = /^(\d{1,8})([HMSmun])$/.exec(text);
  if (parts === null) throw badRequest("INVALID_TIMEOUT", "grpc-timeout must be up to 8 digits and a unit");
  return Number(parts[1]) * (unitMs[parts[2] ?? "m"] ?? 1);
}

function parseConnectTimeout(text: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    throw badRequest("INVALID_TIMEOUT", "connect-timeout-ms must be up to 10 digits");
  }
  return Number(text);
}
