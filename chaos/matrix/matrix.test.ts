import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { failpointsOf } from "../../journeys/processes.ts";
import { followToEnd, type Goods, openShop, type Person, placeOrder } from "../../journeys/shop.ts";
import { type Cell, cells, describeCell, toArm, toRounds, type Way } from "./cells.ts";

/** Every place asks the folder, so nothing has to be started anew for the next cell. */
const askFolder = (name: string) => ({ FAILPOINTS: `${name}:*` });
const processes = [...new Set(cells.map(({ process }) => process))];
const shop = openShop(Object.fromEntries(processes.map((name) => [name, askFolder(name)])));

const hit = new Set<Cell>();
afterAll(() => {
  const missed = cells.filter((cell) => !hit.has(cell));
  const lines = missed.map((cell) => `  not hit: ${describeCell(cell)}`);
  console.log([`${hit.size} of ${cells.length} cells hit`, ...lines].join("\n"));
});

const ordersAtOnce = 2;
const enoughOrders = 10;
const card: Readonly<Record<Way, string>> = { forward: "pm_card_visa", back: "pm_card_captureDeclined" };
const ends = { forward: "CONFIRMED", back: "CANCELLED" };

const markOf = ({ process, place }: Cell) =>
  join(failpointsOf(shop().processes.folder), `${process}:${place}`);
const wasHit = (cell: Cell) => existsSync(markOf(cell));

/** A half-written file would name no action. */
function arm(cell: Cell) {
  rmSync(markOf(cell), { force: true });
  writeFileSync(`${markOf(cell)}.new`, cell.action);
  renameSync(`${markOf(cell)}.new`, `${markOf(cell)}.armed`);
}

const disarm = (cell: Cell) => rmSync(`${markOf(cell)}.armed`, { force: true });

interface Bought {
  readonly orderId: string;
  readonly status: string;
}

async function buy(buyer: Person, goods: Goods, way: Way): Promise<Bought> {
  const { orderId } = await placeOrder(shop(), buyer, { goods, card: card[way] });
  const { status } = await followToEnd(shop(), buyer, orderId);
  return { orderId, status };
}

/** Has people buy until every place of the round was reached. */
async function buyAcross(round: readonly Cell[], buyer: Person, goods: Goods, way: Way): Promise<Bought[]> {
  const bought: Bought[] = [];
  while (bought.length < enoughOrders && !round.every(wasHit)) {
    const both = Array.from({ length: ordersAtOnce }, () => buy(buyer, goods, way));
    bought.push(...(await Promise.all(both)));
  }
  return bought;
}

const kindsOf = (lines: readonly { readonly kind: string }[]) => lines.map(({ kind }) => kind);

/** Declined captures move nothing, however often they are asked for. */
const processorDid = { forward: ["authorized", "captured"], back: ["authorized", "canceled"] };
const carrierDid = { forward: ["booked"], back: ["booked", "canceled"] };

/** What the outside world did for an order is what its end promises. */
async function expectLedgers({ orderId }: Bought, way: Way) {
  const moved = kindsOf(await shop().processorLedger(orderId)).filter((kind) => kind !== "declined");
  expect(moved).toEqual(processorDid[way]);
  expect(kindsOf(await shop().carrierLedger(orderId))).toEqual(carrierDid[way]);
}

const rounds = toRounds(cells).map((round, index) => [index + 1, round] as const);

test.each(rounds)("round %i: orders end as they must, whatever fails where", async (_, round) => {
  const way = round[0]?.way ?? "forward";
  const [goods, buyer] = [await shop().sell(enoughOrders), await shop().person()];
  for (const cell of toArm(round)) arm(cell);
  const bought = await buyAcross(round, buyer, goods, way);
  // A broker offers an event again after its own time; whoever was killed at that place comes by late.
  await eventually(
    () => expect(round.filter((cell) => !wasHit(cell)).map(describeCell)).toEqual([]),
    15_000,
  ).catch(() => {});
  for (const cell of round) if (wasHit(cell)) hit.add(cell);
  for (const cell of toArm(round)) disarm(cell);
  expect(bought.map(({ status }) => status)).toEqual(bought.map(() => ends[way]));
  for (const one of bought) await expectLedgers(one, way);
  const left = enoughOrders - (way === "forward" ? bought.length : 0);
  const rest = { onHand: left, reserved: 0 };
  await eventually(async () => expect(await shop().stock(goods)).toEqual(rest), 45_000);
  expect(round.filter((cell) => !hit.has(cell)).map(describeCell)).toEqual([]);
});
