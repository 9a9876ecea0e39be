import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "#gen/google/rpc/code_pb.ts";

/** The status part of an answer. */
export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: Uint8Array | undefined;
}

/** Reads the status from trailers (or the headers of a trailers-only answer); undefined when they carry none. */
export function readStatus(headers: IncomingHttpHeaders): GrpcStatus | undefined {
  const status = headers["grpc-status"];
  if (status === undefined) return undefined;
  const code = /^\d{1,4}$/.test(String(status)) ? Number(status) : Code.UNKNOWN;
  if (code === Code.OK) return ok;
  const details = headers["grpc-status-details-bin"];
  return {
    code,
    message: decodeMessage(String(headers["grpc-message"] ?? "")),
    details: details === undefined ? undefined : Buffer.from(String(details), "base64"),
  };
}

const ok: GrpcStatus = { code: Code.OK, message: "", details: undefined };

/** The status of an answer that ended without one. */
export function statusWithout(httpStatus: number | undefined, contentType?: string): GrpcStatus {
  if (httpStatus === 200 && contentType?.startsWith("application/grpc") === false)
    return { code: Code.UNKNOWN, message: "the backend's answer is not gRPC", details: undefined };
  if (httpStatus === undefined || httpStatus === 200) {
    return { code: Code.INTERNAL, message: "the backend's answer has no status", details: undefined };
  }
  return {
    code: codeOfHttpStatus(httpStatus),
    message: `the backend answered HTTP ${httpStatus}`,
    details: undefined,
  };
}

function decodeMessage(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The gRPC status for an answer that is HTTP but not gRPC, as the gRPC protocol lays down. */
function codeOfHttpStatus(status: number): number {
  switch (status) {
    case 400:
      return Code.INTERNAL;
    case 401:
      return Code.UNAUTHENTICATED;
    case 403:
      return Code.PERMISSION_DENIED;
    case 404:
      return Code.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.UNAVAILABLE;
    default:
      return Code.UNKNOWN;
  }
}
