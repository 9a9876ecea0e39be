// What clients were told, against what is there.

import type { HistoryEntry } from "../workload/history.ts";
import { accountsOf } from "./account.ts";
import type { Evidence } from "./evidence.ts";
import { by, faultsOf, type Invariant } from "./invariant.ts";

const ended = new Set(["confirmed", "cancelled", "refunded"]);

const placements = ({ history }: Evidence) =>
  history.filter((entry) => entry.action === "place" && entry.altered !== true);

const accepted = (entries: readonly HistoryEntry[]) =>
  entries.filter(({ phase, orderId }) => phase === "ok" && orderId !== undefined);

/** An order that was accepted is there, and has ended; and there is none that nobody asked for. */
export const acceptedOrdersEnd: Invariant = {
  name: "accepted-orders-end",
  title: "every accepted order exists and is confirmed or cancelled; no order exists that nobody asked for",
  number: 1,
  check(evidence) {
    const orders = new Map(evidence.orders.map((order) => [order.orderId, order]));
    const told = new Set(accepted(placements(evidence)).map(({ orderId }) => orderId ?? ""));
    const unsettled = unsettledCount(evidence);
    const lost = faultsOf(told, (orderId) => {
      const order = orders.get(orderId);
      if (!order) return `${orderId} was accepted and does not exist`;
      return !ended.has(order.status) && `${orderId} is still ${order.status}`;
    });
    const unasked = evidence.orders.filter(
      ({ orderId }) => !told.has(orderId) && !evidence.earlierOrders.has(orderId),
    );
    const tooMany =
      unasked.length > unsettled
        ? unasked.map(({ orderId }) => `${orderId} exists and no client was told of it`)
        : [];
    return [...lost, ...tooMany, ...unheeded(evidence)];
  },
};

/** What was accepted about an order is carried out, or refused for a reason that the order's history has. */
function unheeded(evidence: Evidence): string[] {
  const { history, orderEvents } = evidence;
  const refused = new Set(
    orderEvents.filter(({ type }) => type === "cancellationRefused").map(({ orderId }) => orderId),
  );
  const toCancel = new Set(
    accepted(history.filter(({ action }) => action === "cancel")).map((one) => one.orderId),
  );
  return faultsOf(accountsOf(evidence), ({ orderId, cancelled, openClaims }) => [
    ...(toCancel.has(orderId) && !cancelled && !refused.has(orderId)
      ? [`${orderId} was to be cancelled and is not`]
      : []),
    ...openClaims.map(({ claimId }) => `${claimId} of ${orderId} was accepted and has not ended`),
  ]);
}

/** Intentions whose last word is unknown may have gone either way. */
function unsettledCount(evidence: Evidence): number {
  return [...by(placements(evidence), ({ key }) => key).values()].filter(isUnsettled).length;
}

const isUnsettled = (entries: readonly HistoryEntry[]) =>
  !entries.some(({ phase }) => phase === "ok" || phase === "fail");

/** The same key gets the same answer, to the letter, and only for the same request. */
export const oneKeyOneOrder: Invariant = {
  name: "one-key-one-order",
  title: "an Idempotency-Key has at most one order or refund, and all its answers are the same to the letter",
  number: 2,
  check: (evidence) => [
    ...faultsOf(
      by(
        evidence.history.filter(({ action, altered }) => action !== "read" && altered !== true),
        ({ key }) => key ?? "",
      ),
      ([key, entries]) => {
        const answers = new Set(accepted(entries).map(({ answer }) => answer));
        if (answers.size > 1) return `${key} was answered in ${answers.size} ways`;
        const refused = entries.some(({ phase }) => phase === "fail");
        return refused && answers.size > 0 && `${key} was both accepted and refused`;
      },
    ),
    ...faultsOf(evidence.history, ({ action, altered, phase, key }) =>
      action === "place" && altered === true && phase === "ok"
        ? `${key} was accepted for another request than its first`
        : undefined,
    ),
    ...uncalledClaims(evidence),
  ],
};

const giveBacks: ReadonlySet<string> = new Set(["refund", "return"]);

/** Each return and refund of an order has a key of its own under which it was asked for. */
function uncalledClaims(evidence: Evidence): string[] {
  const asked = by(
    evidence.history.filter(({ action }) => giveBacks.has(action)),
    ({ orderId }) => orderId,
  );
  const own = accountsOf(evidence).filter(({ orderId }) => !evidence.earlierOrders.has(orderId));
  return faultsOf(own, ({ orderId, claims }) => {
    const keys = [...by(asked.get(orderId) ?? [], ({ key }) => key).values()];
    const taken = keys.filter((entries) => entries.some(({ phase }) => phase === "ok")).length;
    const open = keys.filter(isUnsettled).length;
    return claims.length < taken || claims.length > taken + open
      ? `${orderId} has ${claims.length} returns and refunds, and ${taken} were accepted`
      : undefined;
  });
}

/** After the first, no order is shown as the second. */
const undone = /CANCELLED (?!CANCELLED)|(CONFIRMED|REFUNDING|REFUNDED) (.* )?PENDING/;

/** What was shown as ended is never shown as anything that comes before. */
export const readsAreMonotonic: Invariant = {
  name: "reads-are-monotonic",
  title: "a customer who saw an order end never sees it as it was before",
  number: 15,
  check: ({ history }) => {
    const shown = history.filter(
      ({ action, phase, orderId }) => action === "read" && phase === "ok" && orderId !== undefined,
    );
    return faultsOf(
      by(shown, ({ orderId }) => orderId ?? ""),
      ([orderId, entries]) => {
        const states = entries.map(({ shown = "" }) => shown.replace("ORDER_STATUS_", "")).join(" ");
        return undone.test(states) && `${orderId} was shown as ${states}`;
      },
    );
  },
};
