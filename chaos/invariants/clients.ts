// What clients were told, against what is there.

import type { HistoryEntry } from "../workload/history.ts";
import type { Evidence } from "./evidence.ts";
import { by, faultsOf, type Invariant } from "./invariant.ts";

const ended = new Set(["confirmed", "cancelled"]);

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
    return [...lost, ...tooMany];
  },
};

/** Intentions whose last word is unknown may have gone either way. */
function unsettledCount(evidence: Evidence): number {
  const intentions = by(placements(evidence), ({ key }) => key);
  const settled = (entries: readonly HistoryEntry[]) =>
    entries.some(({ phase }) => phase === "ok" || phase === "fail");
  return [...intentions.values()].filter((entries) => !settled(entries)).length;
}

/** The same key gets the same answer, to the letter, and only for the same request. */
export const oneKeyOneOrder: Invariant = {
  name: "one-key-one-order",
  title: "an Idempotency-Key has at most one order, and all its answers are the same to the letter",
  number: 2,
  check: (evidence) => [
    ...faultsOf(
      by(placements(evidence), ({ key }) => key ?? ""),
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
  ],
};

/** What was shown as ended is never shown as anything else. */
export const readsAreMonotonic: Invariant = {
  name: "reads-are-monotonic",
  title: "a customer who saw an order ended never sees it otherwise",
  number: 15,
  check: ({ history }) => {
    const shown = history.filter(
      ({ action, phase, orderId }) => action === "read" && phase === "ok" && orderId !== undefined,
    );
    return faultsOf(
      by(shown, ({ orderId }) => orderId ?? ""),
      ([orderId, entries]) => {
        const states = entries.map((entry) => entry.shown ?? "");
        const firstEnd = states.findIndex((state) => state !== "ORDER_STATUS_PENDING");
        const later = firstEnd < 0 ? [] : states.slice(firstEnd);
        return new Set(later).size > 1 && `${orderId} was shown as ${later.join(", then ")}`;
      },
    );
  },
};
