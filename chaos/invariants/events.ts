// Events: what was committed was published, what was published was applied, each once.

import type { Evidence, StreamEvent } from "./evidence.ts";
import { by, countBy, faultsOf, type Invariant } from "./invariant.ts";

/** Every committed event is in its stream, and nothing else is. */
export const outboxInStream: Invariant = {
  name: "outbox-in-stream",
  title: "every committed event is in its stream, and no event is in a stream that was not committed",
  number: 7,
  check({ outbox, stream, earlierEvents }) {
    const committed = earlierEvents.union(new Set(outbox.map(({ eventId }) => eventId)));
    const published = new Set(stream.map(({ eventId }) => eventId));
    return [
      ...faultsOf(outbox, ({ eventId, type, service }) =>
        published.has(eventId)
          ? undefined
          : `${type} ${eventId} of ${service} was committed and never published`,
      ),
      ...faultsOf(distinct(stream), ({ eventId, type, aggregateId }) =>
        committed.has(eventId)
          ? undefined
          : `${type} ${eventId} of ${aggregateId} was published and never committed`,
      ),
    ];
  },
};

/** Each event's effect is there once, however often it was delivered. */
export const effectsOnce: Invariant = {
  name: "effects-once",
  title: "each consumer applies each event once, whatever the number of its deliveries",
  number: 8,
  check(evidence) {
    const { sightings, stream } = evidence;
    if (!sightings) return { notApplicable: "no witness ran" };
    const effects = countBy(sightings, ({ eventId }) => eventId);
    const applied = faultsOf(distinct(stream.filter(isShopEvent)), ({ eventId, type }) => {
      const count = effects.get(eventId) ?? 0;
      return count !== 1 && `${type} ${eventId} was applied ${count} times by the witness`;
    });
    return [...applied, ...commitsOnce(evidence)];
  },
};

/** Inventory's effect can be seen too: a confirmed order's pieces are sold, announced once. */
function commitsOnce({ stream, inbox }: Evidence): string[] {
  const confirmed = distinct(stream.filter(({ type }) => type === "souk.orders.v1.OrderConfirmed"));
  const remembered = countBy(
    inbox.filter(({ service }) => service === "inventory"),
    ({ eventId }) => eventId,
  );
  const missing = faultsOf(confirmed, ({ eventId, aggregateId }) =>
    (remembered.get(eventId) ?? 0) === 1
      ? undefined
      : `inventory has ${remembered.get(eventId) ?? 0} inbox rows for the confirmation of ${aggregateId}`,
  );
  const commits = distinct(stream.filter(({ type }) => type === "souk.inventory.v1.StockCommitted")).length;
  return commits === confirmed.length
    ? missing
    : [...missing, `${confirmed.length} orders were confirmed and ${commits} reservations became sales`];
}

/** Aggregates whose every version announces an event; stock and products have versions without one. */
const counted = /^souk\.(orders|payments|shipping)\./;

/** The versions of a thing are announced one by one, without a gap. */
export const versionsWithoutGap: Invariant = {
  name: "versions-without-gap",
  title: "the versions of an order are announced without gap or repetition",
  number: 9,
  check({ stream }) {
    const gaps = faultsOf(
      by(distinct(orders(stream)), ({ aggregateId }) => aggregateId),
      ([id, events]) => {
        const versions = events.map(({ version }) => Number(version)).sort((a, b) => a - b);
        return (
          versions.some((version, index) => version !== index + 1) &&
          `${id} announced versions ${versions.join(", ")}`
        );
      },
    );
    const twins = faultsOf(
      by(
        distinct(stream.filter(({ type }) => counted.test(type))),
        ({ aggregateId, version }) => `${aggregateId} ${version}`,
      ),
      ([what, events]) => events.length > 1 && `${what} was announced by ${events.length} events`,
    );
    return [...gaps, ...twins];
  },
};

const orders = <Event extends StreamEvent>(events: readonly Event[]) =>
  events.filter(({ type }) => type.startsWith("souk.orders."));

/** A consumer is given the versions of a thing in their order. */
export const appliedInOrder: Invariant = {
  name: "applied-in-order",
  title: "each consumer applies the versions of a thing in their order, also where they arrive otherwise",
  number: 9,
  check({ sightings, inboxOrders }) {
    if (!sightings) return { notApplicable: "no witness ran" };
    if (!inboxOrders) return { notApplicable: "the inbox applies events in the order of their arrival" };
    return faultsOf(
      by(
        sightings.filter(({ type }) => counted.test(type)),
        ({ aggregateId }) => aggregateId,
      ),
      ([id, seen]) => {
        const versions = seen.map(({ version }) => Number(version));
        return versions.some((version, index) => version < (versions[index - 1] ?? 0))
          ? `${id} was applied in the order ${versions.join(", ")}`
          : undefined;
      },
    );
  },
};

/** No run has a poisonous event, so none may be given up: outages are waited out. */
export const noDeadLetters: Invariant = {
  name: "no-dead-letters",
  title: "no event is given up, since none is poisonous: an outage is waited out",
  number: 13,
  check: ({ deadLetters }) =>
    deadLetters?.map(({ service, eventId, reason }) => `${service} gave up ${eventId}: ${reason}`) ?? {
      notApplicable: "the databases have no table of dead letters",
    },
};

/** Far above what a run's outages come to when each delivery waits longer than the one before. */
const manyDeliveries = 25;

/** An event that cannot be applied now is not offered again at once. */
export const retriesArePaced: Invariant = {
  name: "retries-are-paced",
  title: `no event is offered more than ${manyDeliveries} times, since each repetition waits longer`,
  number: 13,
  check: ({ sightings }) =>
    sightings
      ? faultsOf(sightings, ({ deliveries, type, eventId }) =>
          deliveries > manyDeliveries ? `${type} ${eventId} was offered ${deliveries} times` : undefined,
        )
      : { notApplicable: "no witness ran" },
};

/** What the witness hears: the operators' own events are not the shop's. */
const isShopEvent = ({ type }: StreamEvent) =>
  /^souk\.(catalog|inventory|orders|payments|shipping)\./.test(type);

/** Copies of an event are one event. */
const distinct = (events: readonly StreamEvent[]): StreamEvent[] => [
  ...new Map(events.map((event) => [event.eventId, event])).values(),
];
