import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { EdgeError, type EdgeErrorInit, type Violation } from "../edge-error.ts";
import type { Failure, Outcome } from "../upstream/call.ts";
import { codeName, isInternalCode } from "./grpc-code.ts";

/** The error of a call that did not end OK, with what the backend's status details say lifted out of them. */
export function errorOfOutcome(outcome: Outcome, internalErrors?: "mask" | "show"): EdgeError {
  if (outcome.error !== undefined) return outcome.error;
  if (outcome.failure !== undefined) return errorOfFailure(outcome, outcome.failure);
  const lifted = outcome.details === undefined ? {} : liftDetails(outcome.details);
  const isInternal = isInternalCode(outcome.code);
  const shown = !isInternal || internalErrors === "show";
  return new EdgeError({
    code: outcome.code,
    reason: codeName(outcome.code),
    domain: "grpc",
    message: shown ? outcome.message : "internal error",
    shown,
    ...lifted,
    ...(outcome.details === undefined || !shown ? {} : { statusDetails: outcome.details }),
    ...pushbackOf(outcome),
    cause: isInternal ? new Error(outcome.message) : undefined,
  });
}

/** Says when a call may be repeated; negative for never (gRFC A6). */
export const pushbackHeader = "grpc-retry-pushback-ms";

const failureReasons: Record<Failure, { reason: string; text: string; httpStatus?: number }> = {
  unreachable: { reason: "BACKEND_UNREACHABLE", text: "the service is not reachable now" },
  overloaded: { reason: "OVERLOADED", text: "too many calls are in flight" },
  resting: { reason: "BACKEND_RESTING", text: "the service has failed repeatedly and is given a rest" },
  deadline: { reason: "DEADLINE_EXCEEDED", text: "the deadline has passed" },
  cancelled: { reason: "CANCELLED", text: "the caller has gone" },
  "response-too-large": { reason: "RESPONSE_TOO_LARGE", text: "the answer is too large", httpStatus: 502 },
  malformed: {
    reason: "BACKEND_ANSWER_INVALID",
    text: "the backend's answer could not be read",
    httpStatus: 502,
  },
  lost: { reason: "BACKEND_LOST", text: "the connection to the service was lost" },
};

function errorOfFailure(outcome: Outcome, failure: Failure): EdgeError {
  const { reason, text, httpStatus } = failureReasons[failure];
  return new EdgeError({
    code: outcome.code,
    reason,
    message: text,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...(outcome.retryAfterMs !== undefined && { retryAfterMs: outcome.retryAfterMs }),
    ...pushbackOf(outcome),
    cause: new Error(outcome.message),
  });
}

/** One layer repeats at a time: whoever has given up says so, and hands on what the backend says of it. */
function pushbackOf({ exhausted, headers, trailers }: Outcome): Pick<EdgeErrorInit, "headers"> {
  const said = headers[pushbackHeader] ?? trailers[pushbackHeader];
  if (exhausted !== true && said === undefined) return {};
  return { headers: { [pushbackHeader]: exhausted === true ? "-1" : String(said) } };
}

/** Reads the details a problem document shows; what cannot be read is left out, since the status itself stands. */
function liftDetails(encoded: Uint8Array): Partial<EdgeErrorInit> {
  const status = read(StatusSchema, encoded);
  const lifted: { -readonly [K in keyof EdgeErrorInit]?: EdgeErrorInit[K] } = {};
  for (const { typeUrl, value } of status?.details ?? []) {
    switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
      case "google.rpc.ErrorInfo":
        Object.assign(lifted, liftErrorInfo(value));
        break;
      case "google.rpc.BadRequest":
        lifted.violations = liftViolations(value);
        break;
      case "google.rpc.RetryInfo": {
        const delay = read(RetryInfoSchema, value)?.retryDelay;
        if (delay !== undefined) lifted.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
        break;
      }
    }
  }
  return lifted;
}

function liftErrorInfo(value: Uint8Array): Partial<EdgeErrorInit> {
  const info = read(ErrorInfoSchema, value);
  if (info === undefined || info.reason === "") return {};
  return {
    reason: info.reason,
    domain: info.domain,
    ...(Object.keys(info.metadata).length === 0 ? {} : { metadata: info.metadata }),
  };
}

function liftViolations(value: Uint8Array): Violation[] {
  return (read(BadRequestSchema, value)?.fieldViolations ?? []).map((violation) => ({
    field: jsonSpelling(violation.field),
    description: violation.description,
    ...(violation.reason === "" ? {} : { reason: violation.reason }),
  }));
}

/** Backends name fields in proto spelling; REST callers know the JSON one. */
function jsonSpelling(path: string): string {
  return path.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function read<T extends Message>(schema: GenMessage<T>, bytes: Uint8Array): T | undefined {
  try {
    return fromBinary(schema, bytes) as T;
  } catch {
    return undefined;
  }
}
