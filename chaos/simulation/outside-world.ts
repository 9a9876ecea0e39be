// The card processor and the carrier: they honour idempotency keys, and what they did is what counts.
import type {
  Authorization,
  CardProcessor,
  ProcessorCommand,
} from "../../services/payments/card-processor.ts";
import type { ProcessorTruth } from "../../services/payments/payment.ts";
import type { Booking, Carrier } from "../../services/shipping/carrier.ts";
import type { CarrierTruth } from "../../services/shipping/shipment.ts";
import type { Process, World } from "./world.ts";

/** Money at the processor. */
export interface Charge {
  readonly reference: string;
  readonly orderId: string;
  readonly amountMinor: bigint;
  readonly paymentMethod: string;
  standing: "held" | "taken" | "released" | "declined";
  captures: number;
  refundedMinor: bigint;
}

/** A parcel at the carrier. */
export interface Parcel {
  readonly reference: string;
  readonly orderId: string;
  standing: "booked" | "cancelled" | "dispatched";
}

/** What the outside world knows, whoever dies in the shop. */
export interface OutsideWorld {
  readonly charges: Charge[];
  readonly parcels: Parcel[];
  readonly answers: Map<string, unknown>;
}

export const createOutsideWorld = (): OutsideWorld => ({ charges: [], parcels: [], answers: new Map() });

/** Cards and addresses that do not work, named like the sandboxes' own. */
export const declinedCard = "pm_card_chargeDeclined";
export const captureDeclinedCard = "pm_card_captureDeclined";
export const refusedPostalCode = "REFUSE";

/** A key's first answer is given again. */
function once<T>({ answers }: OutsideWorld, key: string, answer: () => T): T {
  if (!answers.has(key)) answers.set(key, answer());
  return answers.get(key) as T;
}

/** The processor as one process of payments reaches it. */
export function connectProcessor(world: World, process: Process, outside: OutsideWorld): CardProcessor {
  const ask = <T>(answer: () => T) => world.effect(process, async () => answer(), true);
  return {
    authorize: (wanted) => ask(() => once(outside, `authorize ${wanted.key}`, () => charge(outside, wanted))),
    capture: (command) => ask(() => once(outside, `capture ${command.key}`, () => capture(outside, command))),
    void: (command) => ask(() => once(outside, `void ${command.key}`, () => giveUp(outside, command))),
    refund: ({ key, reference, amountMinor }) =>
      ask(() => once(outside, `refund ${key}`, () => payBack(chargeOf(outside, reference), amountMinor))),
    find: neverAsked,
    findRefund: neverAsked,
    list: neverAsked,
    look: neverAsked,
    close: () => {},
  };
}

/** Nothing here is old enough to be searched for, and books are compared elsewhere. */
const neverAsked = (): never => {
  throw new Error("no history asks the processor or the carrier for that");
};

function charge(
  { charges }: OutsideWorld,
  { orderId, amount, paymentMethod }: Authorization,
): ProcessorTruth {
  const reference = `pi_${charges.length + 1}`;
  const declined = paymentMethod === declinedCard;
  charges.push({
    ...{ reference, orderId, paymentMethod, amountMinor: amount.amountMinor },
    standing: declined ? "declined" : "held",
    captures: 0,
    refundedMinor: 0n,
  });
  return declined
    ? { standing: "declined", reference, declineReason: "CARD_DECLINED" }
    : { standing: "held", reference, declineReason: "" };
}

function chargeOf({ charges }: OutsideWorld, reference: string): Charge {
  const found = charges.find((one) => one.reference === reference);
  if (!found) throw new Error(`the processor knows no ${reference}`);
  return found;
}

function capture(outside: OutsideWorld, { reference }: ProcessorCommand) {
  const found = chargeOf(outside, reference);
  const refused = found.standing === "held" && found.paymentMethod === captureDeclinedCard;
  if (found.standing === "held" && !refused) {
    found.standing = "taken";
    found.captures += 1;
  }
  return { truth: truthOf(found), refusedFor: refused ? ("CARD_DECLINED" as const) : undefined };
}

function giveUp(outside: OutsideWorld, { reference }: ProcessorCommand): ProcessorTruth {
  const found = chargeOf(outside, reference);
  if (found.standing === "held") found.standing = "released";
  return truthOf(found);
}

function payBack(found: Charge, amountMinor: bigint) {
  if (found.standing !== "taken" || found.refundedMinor + amountMinor > found.amountMinor) return "refused";
  found.refundedMinor += amountMinor;
  return "paid back";
}

function truthOf({ standing, reference }: Charge): ProcessorTruth {
  return standing === "declined"
    ? { standing, reference, declineReason: "CARD_DECLINED" }
    : { standing, reference, declineReason: "" };
}

/** The carrier as one process of shipping reaches it. */
export function connectCarrier(world: World, process: Process, outside: OutsideWorld): Carrier {
  const ask = <T>(answer: () => T) => world.effect(process, async () => answer(), true);
  return {
    book: (booking) => ask(() => once(outside, `book ${booking.key}`, () => book(outside, booking))),
    cancel: ({ key, reference }) =>
      ask(() => once(outside, `cancel ${key}`, () => cancelParcel(outside, reference))),
    find: (reference) => ask(() => findParcel(outside, reference)),
    track: () => Promise.resolve([]),
    list: neverAsked,
    look: neverAsked,
    close: () => {},
  };
}

function book({ parcels }: OutsideWorld, { orderId, destination }: Booking): CarrierTruth {
  if (destination.postalCode === refusedPostalCode) return { standing: "refused" };
  const reference = `parcel_${parcels.length + 1}`;
  parcels.push({ reference, orderId, standing: "booked" });
  return { standing: "booked", reference, trackingNumber: reference };
}

function findParcel({ parcels }: OutsideWorld, reference: string): CarrierTruth {
  const found = parcels.find((one) => one.reference === reference);
  if (!found) throw new Error(`the carrier knows no ${reference}`);
  return { standing: found.standing, reference, trackingNumber: reference };
}

function cancelParcel({ parcels }: OutsideWorld, reference: string): CarrierTruth {
  const found = parcels.find((one) => one.reference === reference);
  if (!found) throw new Error(`the carrier knows no ${reference}`);
  if (found.standing === "booked") found.standing = "cancelled";
  return { standing: found.standing, reference, trackingNumber: reference };
}

/** The carrier takes an order's parcels along, those that are not called off. */
export function dispatch({ parcels }: OutsideWorld, orderId: string): void {
  for (const parcel of parcels)
    if (parcel.orderId === orderId && parcel.standing === "booked") parcel.standing = "dispatched";
}
