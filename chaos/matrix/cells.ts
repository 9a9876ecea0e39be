// The table of what may go wrong where. Each cell is one action at one place of one process, in an order that is confirmed, in
// one that is undone, or when a confirmed one is cancelled, returned or paid back.
import type { FailpointAction } from "#kit/failpoints/failpoints.ts";

/** Which way the order of a cell goes: through checkout, or out of it again. */
export type Way = "forward" | "back" | Regret;

/** What may be asked for when an order is confirmed. */
export type Regret = "cancel" | "return" | "refund";

/** One action at one place. */
export interface Cell {
  readonly process: string;
  readonly place: string;
  readonly action: FailpointAction;
  readonly way: Way;
}

const actions: readonly FailpointAction[] = ["kill", "throw", "stall", "drop"];

const command = (method: string, moments = ["intended", "prepared", "decided", "committed"]) =>
  moments.map((moment) => `rpc:${method}:${moment}`);
const step = (name: string, saga = "checkout") =>
  ["before-call", "before-record", "recorded"].map((moment) => `saga:${saga}:${name}:${moment}`);
const sagaOf = (name: Regret, steps: readonly string[]) => steps.flatMap((one) => step(one, name));
const relay = ["relay:selected", "relay:published", "relay:marked"];
const local = ["decided", "committed"];

type PlacesByProcess = Readonly<Record<string, readonly string[]>>;

const forward: PlacesByProcess = {
  orders: [
    ...command("PlaceOrder", ["prepared", "decided", "committed"]),
    ...["reserve", "authorize", "book", "capture"].flatMap((name) => step(name)),
    "saga:claimed",
    ...relay,
  ],
  inventory: [
    ...command("ReserveStock", local),
    ...["inbox:inserted", "inbox:committed", "inbox:acked"],
    ...relay,
  ],
  payments: [
    ...command("AuthorizePayment"),
    ...command("CapturePayment"),
    ...command("ReceiveProcessorWebhook", ["committed"]),
    ...relay,
  ],
  shipping: [...command("BookShipment"), ...relay],
};

/** The capture is declined, so that every step before it is undone. */
const back: PlacesByProcess = {
  orders: ["capture", "book:undo", "authorize:undo", "reserve:undo"].flatMap((name) => step(name)),
  inventory: command("ReleaseStock", local),
  payments: command("VoidPayment"),
  shipping: command("CancelShipment"),
};

const request = ["prepared", "decided", "committed"];

const regrets: Readonly<Record<Regret, PlacesByProcess>> = {
  cancel: {
    orders: [...command("CancelOrder", request), ...sagaOf("cancel", ["shipment", "refund", "restock"])],
  },
  return: {
    orders: [...command("CreateReturn", request), ...sagaOf("return", ["refund", "restock"])],
    inventory: command("ReturnStock", local),
  },
  refund: {
    orders: [...command("CreateRefund", request), ...sagaOf("refund", ["refund"])],
    payments: command("RefundPayment"),
  },
};

const cellsOf = (places: PlacesByProcess, way: Way): Cell[] =>
  Object.entries(places).flatMap(([process, names]) =>
    actions.flatMap((action) => names.map((place) => ({ process, place, action, way }))),
  );

/** All cells. */
export const cells: readonly Cell[] = [
  ...cellsOf(forward, "forward"),
  ...cellsOf(back, "back"),
  ...(["cancel", "return", "refund"] as const).flatMap((regret) => cellsOf(regrets[regret], regret)),
];

/** Regrets are tried together, since each has an order of its own. */
export const isRegret = (way: Way): way is Regret => way !== "forward" && way !== "back";

/**
 * Cells that can be tried together: in each process one of each action for an order, each at a place of its own. What an order
 * meets in one round is to fit into the time that its steps have.
 */
export function toRounds(all: readonly Cell[]): Cell[][] {
  const rounds: Cell[][] = [];
  for (const cell of all) {
    const round = rounds.find((one) => fits(one, cell));
    if (round) round.push(cell);
    else rounds.push([cell]);
  }
  return rounds;
}

function fits(round: readonly Cell[], { process, place, action, way }: Cell): boolean {
  return round.every((one) => {
    const together = one.way === way || (isRegret(one.way) && isRegret(way));
    const clashes = one.place === place || (one.way === way && one.action === action);
    return together && (one.process !== process || !clashes);
  });
}

/** A saga is claimed only where a replica has dropped one: this makes it. */
const dropSaga: Cell = {
  process: "orders",
  place: "saga:checkout:book:recorded",
  action: "throw",
  way: "forward",
};

/** What is armed for a round: its cells, and what they need to be reached. */
export function toArm(round: readonly Cell[]): readonly Cell[] {
  const claims = round.some(({ place }) => place === "saga:claimed");
  return claims && !round.some(({ place }) => place === dropSaga.place) ? [...round, dropSaga] : round;
}

/** `orders: kill at saga:checkout:reserve:recorded (forward)`. */
export const describeCell = ({ process, place, action, way }: Cell) =>
  `${process}: ${action} at ${place} (${way})`;
