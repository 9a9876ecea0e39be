import type { Secret } from "#kit/config/config.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { CardProcessor } from "../card-processor.ts";
import type { PaymentsUnderWay } from "../under-way.ts";

/** What the handlers of payments work with. */
export interface PaymentsParts {
  readonly db: Database;
  readonly processor: CardProcessor;
  readonly underWay: PaymentsUnderWay;
  readonly webhookSecret: Secret;
}

/** The call's Idempotency-Key; the contract has made sure that it is there. */
export function keyOf({ idempotencyKey }: Pick<Call, "idempotencyKey">): string {
  if (idempotencyKey === undefined)
    throw new Error("the method's policy does not ask for an Idempotency-Key");
  return idempotencyKey;
}

/** The caller's subject; the contract has made sure that there is one. */
export function subjectOf({ principal }: Pick<Call, "principal">): string {
  if (principal === undefined) throw new Error("the method's policy allows anonymous callers");
  return principal.subject;
}
