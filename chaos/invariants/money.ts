// The card processor's ledger is the truth about money; orders and payments have to agree with it.

import { type Account, accountsOf } from "./account.ts";
import type { ProcessorLine } from "./evidence.ts";
import { by, faultsOf, type Invariant, sumMinor } from "./invariant.ts";

const amountOf = (lines: readonly ProcessorLine[], kind: string) =>
  sumMinor(
    lines.filter((line) => line.kind === kind),
    ({ amountMinor }) => amountMinor,
  );
const countOf = (lines: readonly ProcessorLine[], kind: string) =>
  lines.filter((line) => line.kind === kind).length;

/** Money moved once, as much as was bought for, and only for orders that are confirmed. */
export const moneyMovesOnce: Invariant = {
  name: "money-moves-once",
  title:
    "a confirmed order is captured once, in full, and paid back as its refunds say; no other keeps money or holds it",
  number: 3,
  check(evidence) {
    const linesOf = by(evidence.processor, ({ orderId }) => orderId);
    const accounts = accountsOf(evidence);
    const known = new Set(accounts.map(({ orderId }) => orderId));
    const orders = faultsOf(accounts, (account) => judgeOrder(account, linesOf.get(account.orderId) ?? []));
    const strangers = faultsOf(linesOf, ([orderId, lines]) => {
      if (known.has(orderId)) return undefined;
      const kept = amountOf(lines, "captured") - amountOf(lines, "refunded");
      return (
        (kept !== 0n || heldIntents(lines).length > 0) &&
        `money of ${orderId}, which is no order, was taken or held`
      );
    });
    return [...orders, ...strangers];
  },
};

function judgeOrder(account: Account, lines: readonly ProcessorLine[]): string[] {
  const { orderId, placed, confirmed, cancelled, paidBackMinor } = account;
  const [captured, refunded] = [amountOf(lines, "captured"), amountOf(lines, "refunded")];
  const [captures, declines] = [countOf(lines, "captured"), countOf(lines, "declined")];
  const stands = confirmed && !cancelled;
  const faults = [
    refunded > captured && `${refunded} were paid back of ${captured} captured`,
    declines > 1 && `was declined ${declines} times`,
    captures > 1 && `was captured ${captures} times`,
    heldIntents(lines).length > 0 && `still holds ${heldIntents(lines).join(", ")}`,
    stands && captures !== 1 && `stands with ${captures} captures`,
    stands && captured !== placed?.totalMinor && `costs ${placed?.totalMinor}, captured ${captured}`,
    stands && refunded !== paidBackMinor && `says ${paidBackMinor} were paid back, the processor ${refunded}`,
    !stands && captured !== refunded && `does not stand and keeps ${captured - refunded}`,
    lines.some(({ currencyCode }) => currencyCode !== placed?.currencyCode) &&
      "was charged in another currency",
  ];
  return faults.flatMap((fault) => (fault ? [`${orderId} ${fault}`] : []));
}

/** Authorizations that were neither captured nor given up. A declined capture leaves the amount held. */
function heldIntents(lines: readonly ProcessorLine[]): string[] {
  const kindsOf = by(lines, ({ intent }) => intent);
  return [...kindsOf]
    .filter(([, ofIntent]) => {
      const kinds = new Set(ofIntent.map(({ kind }) => kind));
      return kinds.has("authorized") && !kinds.has("captured") && !kinds.has("canceled");
    })
    .map(([intent]) => intent);
}

/** The shop's books say what the processor's ledger says. */
export const paymentsAgree: Invariant = {
  name: "payments-agree-with-the-processor",
  title: "each payment stands where the processor's ledger has it, and each charge is a payment",
  number: 4,
  check({ payments, processor }) {
    const linesOf = by(processor, ({ intent }) => intent);
    const referenced = new Set(payments.map(({ reference }) => reference));
    const differing = faultsOf(payments, ({ paymentId, status, reference, amountMinor, refundedMinor }) => {
      const lines = linesOf.get(reference) ?? [];
      const [captured, refunded] = [amountOf(lines, "captured"), amountOf(lines, "refunded")];
      const wanted = status === "CAPTURED" || status === "REFUNDED" ? amountMinor : 0n;
      if (captured !== wanted)
        return `${paymentId} is ${status}, the processor captured ${captured} of ${amountMinor}`;
      if (refunded !== refundedMinor)
        return `${paymentId} has ${refundedMinor} paid back, the processor ${refunded}`;
      return status === "PENDING" && `${paymentId} is still PENDING`;
    });
    const unknown = faultsOf(linesOf, ([intent, lines]) =>
      amountOf(lines, "captured") > 0n && !referenced.has(intent)
        ? `${intent} was captured and is no payment of the shop`
        : undefined,
    );
    return [...differing, ...unknown];
  },
};
