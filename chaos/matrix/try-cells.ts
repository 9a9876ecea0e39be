// Rounds of cells in one shop: what is armed, what is bought meanwhile, and how it must end.

import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { failpointsOf } from "../../journeys/processes.ts";
import {
  followToEnd,
  type Goods,
  openShop,
  type Person,
  placeOrder,
  readOrder,
} from "../../journeys/shop.ts";
import { type Cell, cells, describeCell, isRegret, type Regret, toArm, toRounds, type Way } from "./cells.ts";

/** Every place asks the folder, so nothing has to be started anew for the next cell; what a dead consumer held is offered soon. */
const askFolder = (name: string) => ({ FAILPOINTS: `${name}:*`, EVENT_ACK_WAIT_MS: "4000" });
const processes = [...new Set(cells.map(({ process }) => process))];
const shop = openShop(Object.fromEntries(processes.map((name) => [name, askFolder(name)])));

const hit = new Set<Cell>();

const ordersAtOnce = 2;
const enoughOrders = 12;
/** Reasons of the busy machine: a step's time was over before it could be done, and all was undone. */
const outOfTime = new Set(["DEPENDENCY_UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL"]);

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
  readonly way: Way;
  readonly status: string;
  readonly cancelReason: string;
}

/** Who buys what in a round. */
interface Market {
  readonly buyer: Person;
  readonly goods: Goods;
}

async function buy({ buyer, goods }: Market, way: Way): Promise<Bought> {
  const card = way === "back" ? "pm_card_captureDeclined" : "pm_card_visa";
  const { orderId } = await placeOrder(shop(), buyer, { goods, card });
  const { status, cancelReason } = await followToEnd(shop(), buyer, orderId);
  const bought = { orderId, way, status, cancelReason };
  if (!isRegret(way) || status !== "CONFIRMED") return bought;
  return { ...bought, status: await regret(orderId, way, goods) };
}

const requestOf = (way: Regret, { productId }: Goods) =>
  ({
    cancel: { path: ":cancel", body: {} },
    return: { path: "/returns", body: { lines: [{ productId, quantity: 1 }] } },
    refund: { path: "/refunds", body: { amount: { currencyCode: "EUR", amountMinor: "100" } } },
  })[way];

/** Asks for it until there is an answer, and waits for what comes of it; the order's last status. */
async function regret(orderId: string, way: Regret, goods: Goods): Promise<string> {
  const { path, body } = requestOf(way, goods);
  const request = { token: shop().staff.token, key: crypto.randomUUID(), body };
  await eventually(async () => {
    const { status, text } = await shop().rest("POST", `/v1/orders/${orderId}${path}`, request);
    if (status !== 202) throw new Error(`${way} was answered with ${status}: ${text}`);
  }, 30_000);
  return await eventually(async () => {
    const { status } = await readOrder(shop(), shop().staff, orderId);
    if (/ING$/.test(status)) throw new Error(`${orderId} is still ${status}`);
    return status.replace("ORDER_STATUS_", "");
  }, 60_000);
}

/** Has people buy until every place of the round was reached. */
async function buyAcross(round: readonly Cell[], market: Market): Promise<Bought[]> {
  const bought: Bought[] = [];
  while (bought.length < enoughOrders && !round.every(wasHit)) {
    const missing = new Set(round.filter((cell) => !wasHit(cell)).map(({ way }) => way));
    const ways = [...missing].flatMap((way) => (isRegret(way) ? [way] : Array(ordersAtOnce).fill(way)));
    bought.push(...(await Promise.all(ways.map((way: Way) => buy(market, way)))));
  }
  return bought;
}

const kindsOf = (lines: readonly { readonly kind: string }[]) => lines.map(({ kind }) => kind);

const stands = { processor: ["authorized", "captured"], carrier: ["booked"] };
const undone = { processor: ["authorized", "canceled"], carrier: ["booked", "canceled"] };
const paidBack = [...stands.processor, "refunded"];

/** How each way ends, and what the outside world has done then. */
const endOf: Readonly<Record<Way, { status: string; processor: string[]; carrier: string[] }>> = {
  forward: { status: "CONFIRMED", ...stands },
  back: { status: "CANCELLED", ...undone },
  cancel: { status: "CANCELLED", processor: paidBack, carrier: undone.carrier },
  return: { status: "REFUNDED", processor: paidBack, carrier: stands.carrier },
  refund: { status: "CONFIRMED", processor: paidBack, carrier: stands.carrier },
};

/** An order ends as its way does; one that ran out of time is undone. */
async function expectEnd({ orderId, way, status, cancelReason }: Bought) {
  // Declined captures move nothing, however often they are asked for.
  const processor = kindsOf(await shop().processorLedger(orderId)).filter((kind) => kind !== "declined");
  const carrier = kindsOf(await shop().carrierLedger(orderId));
  if (outOfTime.has(cancelReason)) {
    expect([[], undone.processor]).toContainEqual(processor);
    expect([[], undone.carrier]).toContainEqual(carrier);
    return;
  }
  expect({ status, processor, carrier }).toEqual(endOf[way]);
}

/** Of a refund the customer keeps the piece. */
const keepsPiece = ({ way, status }: Bought) =>
  way === "refund" ? status !== "CANCELLED" : status === "CONFIRMED";

/** Has every cell happen in the shop of this file, and says at the end which have. */
export function tryCells(what: string, tried: readonly Cell[]): void {
  const rounds = toRounds(tried).map((round, index) => [index + 1, round] as const);
  test.each(rounds)(`${what}, round %i: orders end as they must, whatever fails where`, (_, round) =>
    tryRound(round),
  );
  afterAll(() => {
    const missed = tried.filter((cell) => !hit.has(cell));
    const lines = missed.map((cell) => `  not hit: ${describeCell(cell)}`);
    console.log([`${what}: ${hit.size} of ${tried.length} cells hit`, ...lines].join("\n"));
  });
}

async function tryRound(round: readonly Cell[]) {
  const market = { goods: await shop().sell(enoughOrders * 2), buyer: await shop().person() };
  for (const cell of toArm(round)) arm(cell);
  const bought = await buyAcross(round, market);
  // A broker offers an event again after its own time; whoever was killed at that place comes by late.
  await eventually(
    () => expect(round.filter((cell) => !wasHit(cell)).map(describeCell)).toEqual([]),
    15_000,
  ).catch(() => {});
  for (const cell of round) if (wasHit(cell)) hit.add(cell);
  for (const cell of toArm(round)) disarm(cell);
  for (const one of bought) await expectEnd(one);
  const rest = { onHand: enoughOrders * 2 - bought.filter(keepsPiece).length, reserved: 0 };
  await eventually(async () => expect(await shop().stock(market.goods)).toEqual(rest), 45_000);
  expect(round.filter((cell) => !hit.has(cell)).map(describeCell)).toEqual([]);
}
