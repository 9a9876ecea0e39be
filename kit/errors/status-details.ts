import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { type Status, StatusSchema } from "#gen/google/rpc/status_pb.ts";

/** The part of an error that travels as details of a google.rpc.Status. */
export interface StatusDetails {
  readonly reason: string;
  readonly domain: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly retryAfterMs: number | undefined;
}

/** Bytes of the google.rpc.Status: ErrorInfo always; BadRequest and RetryInfo where there is something to say. */
export function encodeDetails(
  error: StatusDetails & { readonly code: number; readonly message: string },
): Uint8Array {
  const { code, message, reason, domain, violations, retryAfterMs } = error;
  const details: Any[] = [pack(ErrorInfoSchema, { reason, domain, metadata: { ...error.metadata } })];
  if (violations.length > 0) details.push(pack(BadRequestSchema, { fieldViolations: [...violations] }));
  if (retryAfterMs !== undefined) {
    details.push(pack(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(retryAfterMs)) }));
  }
  return toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
}

/** What a google.rpc.Status says; undefined where it is not one or has no ErrorInfo. Never throws. */
export function decodeDetails(bytes: Uint8Array): StatusDetails | undefined {
  const status = parse(bytes);
  const info = status && find(status, ErrorInfoSchema);
  if (info === undefined || info.reason === "") return undefined;
  const retryDelay = find(status, RetryInfoSchema)?.retryDelay;
  return {
    reason: info.reason,
    domain: info.domain,
    metadata: info.metadata,
    violations: (find(status, BadRequestSchema)?.fieldViolations ?? []).map(({ field, description }) => ({
      field,
      description,
    })),
    retryAfterMs: retryDelay && durationMs(retryDelay),
  };
}

function pack<Desc extends DescMessage>(schema: Desc, init: Parameters<typeof create<Desc>>[1]): Any {
  return anyPack(schema, create(schema, init));
}

function find<Desc extends DescMessage>(
  status: Status | undefined,
  schema: Desc,
): MessageShape<Desc> | undefined {
  for (const detail of status?.details ?? []) {
    const message = unpack(detail, schema);
    if (message !== undefined) return message;
  }
  return undefined;
}

// The bytes come from another process, or from whoever answers in its place.
function parse(bytes: Uint8Array): Status | undefined {
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    return undefined;
  }
}

function unpack<Desc extends DescMessage>(detail: Any, schema: Desc): MessageShape<Desc> | undefined {
  try {
    return anyUnpack(detail, schema);
  } catch {
    return undefined;
  }
}
