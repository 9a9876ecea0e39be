// What must hold of a history when nothing is left to happen.
import { hasEnded } from "#kit/saga/progress.ts";
import { type Charge, captureDeclinedCard, declinedCard } from "./outside-world.ts";
import type { OrderPlan, Plan } from "./plan.ts";
import type { ShopState } from "./shop.ts";
import { eventsOf, type OrderViewRow } from "./statements/orders.ts";

/** An order that a customer asked for, and what became of it. */
interface Placed {
  readonly order: OrderViewRow;
  readonly asked: OrderPlan;
}

/** Everything that is wrong; empty where all is well. */
export function findViolations(state: ShopState, plan: Plan): string[] {
  const placed = placedOrders(state, plan);
  return [
    ...ordersOncePerCustomer(state, plan),
    ...placed.flatMap((one) => endings(state, plan, one)),
    ...placed.flatMap((one) => money(state, one)),
    ...placed.flatMap((one) => shipments(state, one)),
    ...stock(state, plan, placed),
    ...books(state),
    ...sagas(state),
    ...announced(state),
  ];
}

const placedOrders = ({ orders }: ShopState, plan: Plan): Placed[] =>
  [...orders.views.values()].map((order) => {
    const asked = plan.orders[Number(order.customerId)];
    if (!asked) throw new Error(`nobody is called ${order.customerId}`);
    return { order, asked };
  });

/** Every customer asks for one order, under one key. */
function ordersOncePerCustomer({ orders }: ShopState, plan: Plan): string[] {
  return plan.orders.flatMap((_, customer) => {
    const own = [...orders.views.values()].filter(({ customerId }) => customerId === String(customer));
    return own.length === 1 ? [] : [`customer ${customer} asked for one order and has ${own.length}`];
  });
}

/** Orders end once, agree with their saga, and are cancelled only for a reason there was. */
function endings({ orders, sagas }: ShopState, plan: Plan, { order, asked }: Placed): string[] {
  const { orderId, status } = order;
  const history = eventsOf(orders, orderId).map(({ type }) => type);
  const found = [...sagas.values()].filter(({ saga }) => saga.subjectId === orderId);
  const ends = {
    completed: "confirmed",
    compensated: "cancelled",
    running: "",
    compensating: "",
    parked: "",
  };
  const reason = found[0]?.saga.failure?.reason;
  return [
    history.join() !== `placed,${status}` && `order ${orderId} is ${status} after ${history.join()}`,
    found.length !== 1 && `order ${orderId} has ${found.length} checkouts`,
    ...found.map(
      ({ saga }) => ends[saga.status] !== status && `order ${orderId} is ${status}, its saga ${saga.status}`,
    ),
    status === "cancelled" && !isDue(plan, asked, reason) && `order ${orderId} was cancelled for ${reason}`,
  ].filter((fault) => fault !== false);
}

const outOfTime = new Set(["DEPENDENCY_UNAVAILABLE", "DEADLINE_EXCEEDED", "IDEMPOTENCY_KEY_IN_USE"]);

/** Whether there was ground for the reason: a card, an address or a shelf that was like that, or a participant away. */
function isDue(plan: Plan, { card, address, lines }: OrderPlan, reason = ""): boolean {
  if (reason === "CARD_DECLINED") return card === declinedCard || card === captureDeclinedCard;
  if (reason === "ADDRESS_REFUSED") return address === "refused";
  if (reason === "OUT_OF_STOCK")
    return Object.keys(lines).some((sku) => demand(plan, sku) > (plan.pieces[sku] ?? 0));
  return outOfTime.has(reason);
}

const demand = ({ orders }: Plan, sku: string) =>
  orders.reduce((sum, { lines }) => sum + (lines[sku] ?? 0), 0);

/** Confirmed: the total was taken once, and nothing else is held. Cancelled: nothing is taken or held. */
function money({ outside }: ShopState, { order, asked }: Placed): string[] {
  const charges = outside.charges.filter(({ orderId }) => orderId === order.orderId);
  const captures = charges.reduce((sum, { captures: times }) => sum + times, 0);
  const netMinor = charges.reduce((sum, charge) => sum + takenMinor(charge), 0n);
  const held = charges.filter(({ standing }) => standing === "held").length;
  const confirmed = order.status === "confirmed";
  return [
    captures !== (confirmed ? 1 : 0) &&
      `order ${order.orderId} is ${order.status}, captured ${captures} times`,
    netMinor !== (confirmed ? asked.totalMinor : 0n) &&
      `order ${order.orderId} is ${order.status}, paid ${netMinor}`,
    held > 0 && `order ${order.orderId} is ${order.status}, ${held} charges are held`,
  ].filter((fault) => fault !== false);
}

const takenMinor = ({ standing, amountMinor, refundedMinor }: Charge) =>
  standing === "taken" ? amountMinor - refundedMinor : 0n;

function shipments({ outside }: ShopState, { order }: Placed): string[] {
  const booked = outside.parcels.filter(
    ({ orderId, standing }) => orderId === order.orderId && standing === "booked",
  ).length;
  const due = order.status === "confirmed" ? 1 : 0;
  return booked === due ? [] : [`order ${order.orderId} is ${order.status}, ${booked} parcels are booked`];
}

/** What was there is there, or was sold; nothing is set aside any more. */
function stock({ inventory }: ShopState, { pieces }: Plan, placed: readonly Placed[]): string[] {
  return [...inventory.stock.values()].flatMap(({ sku, onHand, reserved }) => {
    const sold = placed
      .filter(({ order }) => order.status === "confirmed")
      .reduce((sum, { asked }) => sum + (asked.lines[sku] ?? 0), 0);
    return [
      onHand !== (pieces[sku] ?? 0) - sold &&
        `${onHand} of ${sku} are left of ${pieces[sku]}, ${sold} were sold`,
      reserved !== 0 && `${reserved} of ${sku} are still set aside`,
      sold !== (inventory.sold.get(sku) ?? 0) &&
        `${sold} of ${sku} were sold, ${inventory.sold.get(sku)} moved`,
    ].filter((fault) => fault !== false);
  });
}

const statusOfStanding = { held: "AUTHORIZED", taken: "CAPTURED", released: "VOIDED", declined: "DECLINED" };

/** Payments' own table says what the processor says, and each capture is booked once. */
function books({ payments, outside }: ShopState): string[] {
  return [...payments.payments.values()].flatMap((row) => {
    const charge = outside.charges.find(({ reference }) => reference === row.processor_reference);
    const truth = charge ? statusOfStanding[charge.standing] : "VOIDED";
    const booked = payments.booked.get(row.payment_id) ?? 0;
    return [
      row.status !== truth && `payment ${row.authorize_key} is ${row.status}, at the processor ${truth}`,
      booked !== (row.status === "CAPTURED" ? 1 : 0) &&
        `payment ${row.authorize_key} is booked ${booked} times`,
    ].filter((fault) => fault !== false);
  });
}

/** Sagas end, and each recorded transition raised the version by one. */
function sagas({ sagas: table }: ShopState): string[] {
  return [...table.values()].flatMap(({ saga, edges }) => [
    ...(hasEnded(saga) ? [] : [`saga ${saga.sagaId} is ${saga.status} for ever`]),
    ...(saga.version === BigInt(edges.length + 1) ? [] : [`saga ${saga.sagaId} has a gap in its versions`]),
  ]);
}

/** Kinds of things whose every change is announced. */
const gapless = new Set(["order", "reservation"]);

/** Each aggregate's events are announced in order, and without a gap where all its changes are announced. */
function announced({ chassis }: ShopState): string[] {
  const versions = new Map<string, bigint>();
  return Object.values(chassis).flatMap(({ outbox }) =>
    outbox.flatMap(({ headers }) => {
      const aggregate = `${headers["souk-aggregate"]} ${headers["ce-subject"]}`;
      const version = BigInt(headers["souk-aggregate-version"] ?? 0);
      const before = versions.get(aggregate) ?? 0n;
      versions.set(aggregate, version);
      const follows = gapless.has(headers["souk-aggregate"] ?? "")
        ? version === before + 1n
        : version > before;
      return follows ? [] : [`${aggregate} was announced in version ${version} after ${before}`];
    }),
  );
}
