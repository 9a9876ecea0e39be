// What the shop has written down of its orders, against itself.

import type { OrderEventRow } from "./evidence.ts";
import { by, faultsOf, type Invariant } from "./invariant.ts";

const turn = "( cancellationRequested( cancellationRefused)?)*";
const back =
  "( returnAccepted| refundAccepted| refunded| refundRefused| cancellationRequested| cancellationRefused)*";
/** The histories an order can have. What is confirmed is cancelled only when somebody asked for it. */
const story = new RegExp(`^placed${turn}( cancelled| confirmed${back}( cancelled)?)?$`);
const cancelledUnasked = /^(?!.*cancellationRequested).*confirmed.* cancelled$/;

/** The story of an order is one that can happen, and its view is where the story ends. */
export const legalTransitions: Invariant = {
  name: "legal-transitions",
  title:
    "orders go from placed to confirmed or cancelled, and from confirmed only where asked; views stand where their events end",
  number: 14,
  check({ orderEvents, orders }) {
    const stories = by(orderEvents, ({ orderId }) => orderId);
    const views = new Map(orders.map((order) => [order.orderId, order]));
    const illegal = faultsOf(stories, ([orderId, events]) => {
      const told = toStory(events);
      const versions = events.map(({ version }) => Number(version)).sort((a, b) => a - b);
      if (versions.some((version, index) => version !== index + 1))
        return `${orderId} has events of versions ${versions.join(", ")}`;
      if (!story.test(told) || cancelledUnasked.test(told)) return `${orderId} went ${told}`;
      const view = views.get(orderId);
      if (!view) return `${orderId} has events and no view`;
      return (
        Number(view.version) !== events.length &&
        `${orderId} has ${events.length} events, its view ${view.version}`
      );
    });
    const empty = faultsOf(
      orders,
      ({ orderId }) => !stories.has(orderId) && `${orderId} has a view and no events`,
    );
    return [...illegal, ...empty];
  },
};

const toStory = (events: readonly OrderEventRow[]) =>
  events
    .toSorted((a, b) => Number(a.version - b.version))
    .map(({ type }) => type)
    .join(" ");

/** No saga is under way when all is quiet. */
export const sagasEnd: Invariant = {
  name: "sagas-end",
  title: "no saga is left under way, and none stuck",
  number: 12,
  check: ({ sagas }) =>
    faultsOf(sagas, ({ status, sagaId, definition, subjectId }) =>
      status === "completed" || status === "compensated" || status === "resolved"
        ? undefined
        : `${definition} ${sagaId} of ${subjectId} is ${status}`,
    ),
};

/** Queues are empty when nothing is asked for. */
export const allComesToRest: Invariant = {
  name: "all-comes-to-rest",
  title: "within a minute of the last fault no event waits, no consumer lags, no saga is under way",
  number: 12,
  check: ({ restless }) => restless,
};

/** No process ended by itself, and none met an error nobody handled. */
export const processesStayWell: Invariant = {
  name: "processes-stay-well",
  title: "no process ends by itself, and none meets an error that nobody handles",
  number: 16,
  check: ({ ailments }) => ailments,
};
