import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { type EdgeError, publicText } from "../edge-error.ts";
import { codeName } from "./grpc-code.ts";

/** The encoded google.rpc.Status of an error: the backend's own where there is one, else made from its parts. */
export function encodeStatusDetails(error: EdgeError): Uint8Array {
  if (error.statusDetails !== undefined) return error.statusDetails;
  const { reason, domain, violations, retryAfterMs } = error;
  const details = isBare(error)
    ? []
    : [
        anyPack(
          ErrorInfoSchema,
          create(ErrorInfoSchema, { reason, domain, metadata: { ...error.metadata } }),
        ),
      ];
  if (violations.length > 0) {
    const fieldViolations = violations.map(({ field, description, reason: why = "" }) => ({
      field,
      description,
      reason: why,
    }));
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (retryAfterMs !== undefined) {
    const retryDelay = {
      seconds: BigInt(Math.floor(retryAfterMs / 1000)),
      nanos: Math.round((retryAfterMs % 1000) * 1e6),
    };
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  return toBinary(
    StatusSchema,
    create(StatusSchema, { code: error.code, message: publicText(error), details }),
  );
}

/** Whether an error says no more than its code and text: a reason that only repeats the code is none. */
export function isBare(error: EdgeError): boolean {
  const { statusDetails, code, reason, metadata, violations, retryAfterMs } = error;
  const says = metadata !== undefined || violations.length > 0 || retryAfterMs !== undefined;
  return statusDetails === undefined && !says && (error.plain || reason === codeName(code));
}
