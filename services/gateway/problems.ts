import { STATUS_CODES } from "node:http";
import { type DescEnum, getOption, hasOption } from "@bufbuild/protobuf";
import { createEdgeError, type EdgeError, type Problem } from "#edge/edge.ts";
import { ErrorReasonSchema as catalogReasons } from "#gen/souk/catalog/v1/errors_pb.ts";
import { ErrorReasonSchema as commonReasons } from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReasonSchema as inventoryReasons } from "#gen/souk/inventory/v1/errors_pb.ts";
import { ErrorReasonSchema as opsReasons } from "#gen/souk/ops/v1/errors_pb.ts";
import { reason as reasonOption } from "#gen/souk/options/v1/options_pb.ts";
import { ErrorReasonSchema as ordersReasons } from "#gen/souk/orders/v1/errors_pb.ts";
import { ErrorReasonSchema as paymentsReasons } from "#gen/souk/payments/v1/errors_pb.ts";
import { ErrorReasonSchema as shippingReasons } from "#gen/souk/shipping/v1/errors_pb.ts";
import { toServiceError } from "#kit/errors/errors.ts";

/** The reasons that answers through the gateway can have. */
export const reasonSchemas: readonly DescEnum[] = [
  commonReasons,
  catalogReasons,
  inventoryReasons,
  opsReasons,
  ordersReasons,
  paymentsReasons,
  shippingReasons,
];

const statuses = new Map(
  reasonSchemas.flatMap((schema) =>
    schema.values
      .filter((value) => hasOption(value, reasonOption) && getOption(value, reasonOption).httpStatus > 0)
      .map((value) => {
        const domain = `${schema.file.proto.package.split(".")[1]}.souk`;
        const reason = value.name.slice("ERROR_REASON_".length);
        return [`${domain}/${reason}`, getOption(value, reasonOption).httpStatus] as const;
      }),
  ),
);

/** Where a reason's meaning is written down, relative to the documentation. */
const problemTypes = "urn:souk:problem:";

/** The `type` of a reason's problem documents. */
export const problemTypeOf = (reason: string) => problemTypes + reason.toLowerCase().replaceAll("_", "-");

/** Gives a problem the status its reason declares, with its title, and a type of its own. */
export function refineProblem(problem: Problem): Problem {
  const status = statuses.get(`${problem.domain}/${problem.reason}`);
  if (status !== undefined) {
    problem.status = status;
    problem.title = STATUS_CODES[status] ?? problem.title;
  }
  if (problem.reason) problem.type = problemTypeOf(problem.reason);
  return problem;
}

/** An error of the kit as one of the edge. */
export function toEdgeError(error: unknown, headers?: Readonly<Record<string, string>>): EdgeError {
  const { code, reason, domain, message, metadata, violations, retryAfterMs } = toServiceError(error);
  return createEdgeError({
    code,
    reason,
    domain,
    message,
    metadata,
    violations,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(headers && { headers }),
    cause: error,
  });
}
