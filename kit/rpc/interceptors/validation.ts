import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Interceptor } from "../interceptor.ts";
import { matchesPattern } from "./pattern.ts";

/** Lets only requests through that obey the contract's rules; a refusal names every field that does not. */
export const validation: Interceptor = (method, next) => {
  const { input } = method;
  return (call) => {
    check(input, call.request as Message);
    return next(call);
  };
};

// One for the process: it compiles the rules of a message when it first sees one.
const validator = createValidator({ regexMatch: matchesPattern });

/** Throws VALIDATION_FAILED with a violation for each broken rule. Throws a plain Error for a rule that cannot run. */
export function check(schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return;
  if (result.kind === "error") throw result.error;
  throw serviceError(
    ErrorReasonSchema,
    ErrorReason.VALIDATION_FAILED,
    "Fields of the request break rules of the contract.",
    { violations: result.violations.map(toViolation) },
  );
}

function toViolation(violation: Violation): { field: string; description: string } {
  return { field: pathToString(violation.field), description: violation.message };
}
