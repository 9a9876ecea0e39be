import { acceptedOrdersEnd, oneKeyOneOrder, readsAreMonotonic } from "./clients.ts";
import {
  appliedInOrder,
  effectsOnce,
  noDeadLetters,
  outboxInStream,
  retriesArePaced,
  versionsWithoutGap,
} from "./events.ts";
import type { Evidence } from "./evidence.ts";
import { oneShipment, stockAddsUp } from "./goods.ts";
import type { Invariant } from "./invariant.ts";
import { moneyMovesOnce, paymentsAgree } from "./money.ts";
import { allComesToRest, legalTransitions, processesStayWell, sagasEnd } from "./orders.ts";

const later = (number: number, name: string, title: string, notApplicable: string): Invariant => ({
  name,
  title,
  number,
  check: () => ({ notApplicable }),
});

/** All invariants, in the order of the reliability notes. */
export const invariants: readonly Invariant[] = [
  acceptedOrdersEnd,
  oneKeyOneOrder,
  moneyMovesOnce,
  paymentsAgree,
  stockAddsUp,
  oneShipment,
  outboxInStream,
  effectsOnce,
  versionsWithoutGap,
  appliedInOrder,
  later(
    10,
    "views-can-be-rebuilt",
    "the order views equal a rebuild from the events",
    "there are no rebuildable views yet",
  ),
  later(
    11,
    "audit-chain-verifies",
    "one audit record per change, in an unbroken chain",
    "there is no audit service yet",
  ),
  sagasEnd,
  allComesToRest,
  noDeadLetters,
  retriesArePaced,
  legalTransitions,
  readsAreMonotonic,
  processesStayWell,
];

/** What an invariant came to. */
export interface Verdict {
  readonly invariant: Invariant;
  /** Empty where it holds. */
  readonly violations: readonly string[];
  /** Set where there is nothing to judge it by. */
  readonly notApplicable?: string | undefined;
}

/** Judges all of them. */
export const judge = (evidence: Evidence): Verdict[] =>
  invariants.map((invariant) => {
    const found = invariant.check(evidence);
    return "notApplicable" in found
      ? { invariant, violations: [], notApplicable: found.notApplicable }
      : { invariant, violations: found };
  });
