import { fromBinary } from "@bufbuild/protobuf";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Interceptor } from "../interceptor.ts";

/**
 * Turns the request's bytes into a message, after the caller is known: a stranger's bytes are not parsed. Fields that
 * the contract does not know are dropped, so that nothing stores or passes on what nobody has checked.
 */
export const decoding: Interceptor = (method, next) => {
  const { input, maxRequestBytes } = method;
  return (call) => {
    const bytes = call.transport.request;
    if (bytes.length > maxRequestBytes) throw tooLarge(bytes.length, maxRequestBytes);
    try {
      call.request = fromBinary(input, bytes, { readUnknownFields: false });
    } catch (cause) {
      throw undecodable(input.typeName, cause);
    }
    return next(call);
  };
};

function tooLarge(size: number, limit: number): ServiceError {
  return new ServiceError({
    code: Code.RESOURCE_EXHAUSTED,
    reason: "RESOURCE_EXHAUSTED",
    domain: "grpc",
    message: `The request has ${size} bytes; this method takes ${limit}.`,
  });
}

function undecodable(typeName: string, cause: unknown): ServiceError {
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.VALIDATION_FAILED,
    `The request is not a valid ${typeName} message.`,
    { cause },
  );
}
