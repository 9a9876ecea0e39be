// What must hold of a history when nothing is left to happen.
import { hasEnded } from "#kit/saga/progress.ts";
import { fromEventPayload } from "../../services/orders/messages.ts";
import { fold, type Order, refundedOf } from "../../services/orders/order.ts";
import { takenBackOf } from "../../services/orders/refund.ts";
import { type Charge, captureDeclinedCard, declinedCard } from "./outside-world.ts";
import type { OrderPlan, Plan, Told, Wish } from "./plan.ts";
import type { ShopState } from "./shop.ts";
import { eventsOf } from "./statements/orders.ts";

/** An order that a customer asked for, and what became of it. */
interface Placed {
  /** What its history amounts to. */
  readonly order: Order;
  /** What its view says. */
  readonly shown: string;
  readonly asked: OrderPlan;
  readonly told: readonly Told[];
}

/** Everything that is wrong; empty where all is well. */
export function findViolations(state: ShopState, plan: Plan): string[] {
  const placed = placedOrders(state, plan);
  return [
    ...ordersOncePerCustomer(placed, plan),
    ...placed.flatMap((one) => endings(state, plan, one)),
    ...placed.flatMap(answers),
    ...placed.flatMap((one) => money(state, one)),
    ...placed.flatMap((one) => shipments(state, one)),
    ...stock(state, plan, placed),
    ...books(state),
    ...sagas(state),
    ...announced(state),
  ];
}

const placedOrders = ({ orders, told }: ShopState, plan: Plan): Placed[] =>
  [...orders.views.values()].map(({ orderId, customerId, status }) => {
    const asked = plan.orders[Number(customerId)];
    const events = eventsOf(orders, orderId).map(({ type, payload }) => fromEventPayload(type, payload));
    const order = fold(events);
    if (!asked || !order) throw new Error(`${orderId} has no history, or nobody asked for it`);
    return { order, shown: status, asked, told: told.get(orderId) ?? [] };
  });

const complaints = (faults: readonly (string | false)[]) => faults.filter((fault) => fault !== false);

/** Every customer asks for one order, under one key. */
function ordersOncePerCustomer(placed: readonly Placed[], plan: Plan): string[] {
  return plan.orders.flatMap((_, customer) => {
    const own = placed.filter(({ order }) => order.customerId === String(customer));
    return own.length === 1 ? [] : [`customer ${customer} asked for one order and has ${own.length}`];
  });
}

const atRest = new Set(["confirmed", "refunded", "cancelled"]);

/** Orders come to rest, agree with their sagas, and are cancelled only for a reason there was. */
function endings({ sagas }: ShopState, plan: Plan, { order, shown, asked }: Placed): string[] {
  const { orderId, status, outcome, cancelReason, refunds } = order;
  const about = [...sagas.values()].map(({ saga }) => saga).filter(({ subjectId }) => subjectId === orderId);
  const ends = (name: string) =>
    about.filter(({ definition }) => definition.name === name).map((saga) => saga.status);
  const givenBack = ends("cancel").filter((end) => end === "completed").length;
  const confirmed = outcome === "confirmed" || givenBack === 1;
  return complaints([
    status !== shown && `order ${orderId} is ${status}, and shown as ${shown}`,
    !atRest.has(status) && `order ${orderId} is ${status} for ever`,
    ends("checkout").join() !== (confirmed ? "completed" : "compensated") &&
      `order ${orderId} is ${status}, its checkouts ${ends("checkout").join()}`,
    givenBack !== (outcome === "cancelled" && order.paymentId !== "" ? 1 : 0) &&
      `order ${orderId} is ${status}, given back ${givenBack} times`,
    outcome === "cancelled" &&
      !isDue(plan, asked, cancelReason) &&
      `order ${orderId} was cancelled for ${cancelReason}`,
    ...refunds.map(
      ({ refundId, status: end }) => end !== "completed" && `${refundId} of ${orderId} is ${end}`,
    ),
  ]);
}

const outOfTime = new Set(["DEPENDENCY_UNAVAILABLE", "DEADLINE_EXCEEDED", "IDEMPOTENCY_KEY_IN_USE"]);

/** Whether there was ground for the reason: a card, an address or a shelf that was like that, or a participant away. */
function isDue(plan: Plan, { card, address, lines, wishes = [] }: OrderPlan, reason: string): boolean {
  if (reason === "CUSTOMER_CANCELLED") return wishes.some(({ kind }) => kind === "cancel");
  if (reason === "CARD_DECLINED") return card === declinedCard || card === captureDeclinedCard;
  if (reason === "ADDRESS_REFUSED") return address === "refused";
  if (reason === "OUT_OF_STOCK")
    return Object.keys(lines).some((sku) => demand(plan, sku) > (plan.pieces[sku] ?? 0));
  return outOfTime.has(reason);
}

const demand = ({ orders }: Plan, sku: string) =>
  orders.reduce((sum, { lines }) => sum + (lines[sku] ?? 0), 0);

/** Why a wish may be refused. */
const grounds: Readonly<Record<Wish["kind"], ReadonlySet<string>>> = {
  cancel: new Set(["ORDER_ALREADY_ENDED", "ORDER_ALREADY_DISPATCHED", "REFUND_UNDER_WAY"]),
  return: new Set(["ORDER_NOT_CONFIRMED", "QUANTITY_EXCEEDS_ORDER"]),
  refund: new Set(["ORDER_NOT_CONFIRMED", "REFUND_EXCEEDS_PAYMENT"]),
};

/** What customers were told is what happened: each accepted wish once, and no other. */
function answers({ order, asked: { wishes = [] }, told }: Placed): string[] {
  const accepted = (kind: Wish["kind"]) =>
    told.filter((one) => one.kind === kind && one.answer === "accepted").length;
  const given = (kind: "return" | "refund") => order.refunds.filter((refund) => refund.kind === kind).length;
  return complaints([
    told.length !== wishes.length && `${wishes.length} wishes about ${order.orderId}, ${told.length} answers`,
    ...told.map(
      ({ kind, answer }) =>
        answer !== "accepted" && !grounds[kind].has(answer) && `${kind} of ${order.orderId} got ${answer}`,
    ),
    accepted("cancel") > 0 &&
      order.outcome !== "cancelled" &&
      order.cancelRefuseReason !== "SHIPMENT_ALREADY_DISPATCHED" &&
      `order ${order.orderId} was to be cancelled, and is ${order.status}`,
    ...(["return", "refund"] as const).map(
      (kind) =>
        given(kind) !== accepted(kind) &&
        `order ${order.orderId} has ${given(kind)} ${kind}s, ${accepted(kind)} were accepted`,
    ),
  ]);
}

/** Confirmed: the total was taken once, less what was paid back. Cancelled: nothing is kept, and nothing is held. */
function money({ outside }: ShopState, { order, asked }: Placed): string[] {
  const { orderId, status, outcome, paymentId } = order;
  const charges = outside.charges.filter((charge) => charge.orderId === orderId);
  const captures = charges.reduce((sum, { captures: times }) => sum + times, 0);
  const netMinor = charges.reduce((sum, charge) => sum + takenMinor(charge), 0n);
  const held = charges.filter(({ standing }) => standing === "held").length;
  const dueMinor = outcome === "confirmed" ? asked.totalMinor - refundedOf(order).amountMinor : 0n;
  return complaints([
    captures !== (paymentId === "" ? 0 : 1) && `order ${orderId} is ${status}, captured ${captures} times`,
    netMinor !== dueMinor && `order ${orderId} is ${status}, paid ${netMinor}`,
    held > 0 && `order ${orderId} is ${status}, ${held} charges are held`,
  ]);
}

const takenMinor = ({ standing, amountMinor, refundedMinor }: Charge) =>
  standing === "taken" ? amountMinor - refundedMinor : 0n;

function shipments({ outside }: ShopState, { order }: Placed): string[] {
  const parcels = outside.parcels.filter(({ orderId }) => orderId === order.orderId);
  const live = parcels.filter(({ standing }) => standing !== "cancelled").length;
  const due = order.outcome === "confirmed" ? 1 : 0;
  return live === due ? [] : [`order ${order.orderId} is ${order.status}, ${live} parcels are on their way`];
}

/** What was there is there, or was sold and kept; nothing is set aside any more. */
function stock({ inventory }: ShopState, { pieces }: Plan, placed: readonly Placed[]): string[] {
  return [...inventory.stock.values()].flatMap(({ sku, onHand, reserved }) => {
    const sold = placed.reduce((sum, { order, asked }) => sum + keptOf(order, asked, sku), 0);
    return complaints([
      onHand !== (pieces[sku] ?? 0) - sold &&
        `${onHand} of ${sku} are left of ${pieces[sku]}, ${sold} were sold`,
      reserved !== 0 && `${reserved} of ${sku} are still set aside`,
      sold !== (inventory.sold.get(sku) ?? 0) &&
        `${sold} of ${sku} were sold, ${inventory.sold.get(sku)} moved`,
    ]);
  });
}

const keptOf = (order: Order, { lines }: OrderPlan, sku: string) =>
  order.outcome === "confirmed" ? (lines[sku] ?? 0) - takenBackOf(order, sku) : 0;

const statusOfStanding = { held: "AUTHORIZED", taken: "CAPTURED", released: "VOIDED", declined: "DECLINED" };

const statusOf = ({ standing, amountMinor, refundedMinor }: Charge) =>
  standing === "taken" && refundedMinor === amountMinor ? "REFUNDED" : statusOfStanding[standing];

/** Payments' own table says what the processor says, each capture is booked once, and no refund is left open. */
function books({ payments, outside }: ShopState): string[] {
  const open = [...payments.refunds.values()].filter(({ status }) => status === "PENDING");
  return [
    ...open.map((refund) => `${refund.refund_id} of ${refund.payment_id} is pending for ever`),
    ...[...payments.payments.values()].flatMap((row) => {
      const charge = outside.charges.find(({ reference }) => reference === row.processor_reference);
      const truth = charge ? statusOf(charge) : "VOIDED";
      const booked = payments.booked.get(row.payment_id) ?? 0;
      const taken = row.status === "CAPTURED" || row.status === "REFUNDED";
      return complaints([
        row.status !== truth && `payment ${row.authorize_key} is ${row.status}, at the processor ${truth}`,
        row.refunded_minor !== (charge?.refundedMinor ?? 0n) &&
          `payment ${row.authorize_key}: ${row.refunded_minor} paid back, at the processor ${charge?.refundedMinor}`,
        booked !== (taken ? 1 : 0) && `payment ${row.authorize_key} is booked ${booked} times`,
      ]);
    }),
  ];
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
