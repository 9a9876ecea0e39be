// The table of what may go wrong where. Each cell is one action at one place of one process, in an order that is confirmed or in
// one that is undone.
import type { FailpointAction } from "#kit/failpoints/failpoints.ts";

/** Which way the order of a cell goes. */
export type Way = "forward" | "back";

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
const step = (name: string) =>
  ["before-call", "before-record", "recorded"].map((moment) => `saga:checkout:${name}:${moment}`);
const relay = ["relay:selected", "relay:published", "relay:marked"];
const local = ["decided", "committed"];

type PlacesByProcess = Readonly<Record<string, readonly string[]>>;

const forward: PlacesByProcess = {
  orders: [
    ...command("PlaceOrder", ["prepared", "decided", "committed"]),
    ...["reserve", "authorize", "book", "capture"].flatMap(step),
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
  orders: ["capture", "book:undo", "authorize:undo", "reserve:undo"].flatMap(step),
  inventory: command("ReleaseStock", local),
  payments: command("VoidPayment"),
  shipping: command("CancelShipment"),
};

const cellsOf = (places: PlacesByProcess, way: Way): Cell[] =>
  Object.entries(places).flatMap(([process, names]) =>
    actions.flatMap((action) => names.map((place) => ({ process, place, action, way }))),
  );

/** All cells. */
export const cells: readonly Cell[] = [...cellsOf(forward, "forward"), ...cellsOf(back, "back")];

/**
 * Cells that can be tried together: in each process one of each action, each at a place of its own. A process is killed once per
 * round at most.
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
  if (round[0]?.way !== way) return false;
  return round.every((one) => one.process !== process || (one.place !== place && one.action !== action));
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
