// Clients as careful as a good one is: what got no answer is asked for again under the same key, until there is one.

import { fetchToken } from "../../tools/client/tokens.ts";
import { pause } from "../pause.ts";
import { createRandom, type Random } from "../random.ts";
import { type DoorAnswer, type DoorRequest, knock } from "./door.ts";
import type { History, HistoryEntry } from "./history.ts";
import { drawPurchase, type Goods } from "./purchase.ts";

/** What the load is made of. */
export interface LoadOptions {
  readonly gatewayUrl: string;
  readonly issuerUrl: string;
  readonly seed: number;
  readonly ordersPerSecond: number;
  readonly durationMs: number;
  readonly goods: readonly Goods[];
  readonly history: History;
  /** By `performance.now()`. */
  readonly startedAtMs: number;
}

/** A running load. */
export interface Load {
  /** Outcomes of attempts so far, for the report's picture. */
  readonly outcomes: readonly { readonly atMs: number; readonly outcome: DoorAnswer["outcome"] }[];
  /** Resolves when no new order is begun; intentions without an answer are left to {@link settle}. */
  readonly ended: Promise<void>;
  /** Asks for what is still unknown, until all of it is known or `withinMs` have passed; tells how many are not. */
  settle(withinMs: number): Promise<number>;
}

/** As many clients at once at most: the shop's slowness is theirs too. */
const buyers = 40;
const tokenLifetimeMs = 600_000;
const patienceMs = 15_000;

interface Buyer extends LoadOptions {
  readonly customer: string;
  readonly random: Random;
  token: { text: string; untilMs: number };
  /** The last few orders, to look at again. */
  readonly orderIds: string[];
}

/** An intention that got no answer yet. */
interface Unsettled {
  readonly buyer: Buyer;
  readonly op: number;
  readonly key: string;
  readonly body: unknown;
}

interface Board {
  readonly outcomes: { atMs: number; outcome: DoorAnswer["outcome"] }[];
  readonly unsettled: Unsettled[];
  begun: number;
}

/** Starts the load. Orders are begun at a steady pace; what an outage held up is made good as soon as a client is free. */
export function startLoad(options: LoadOptions): Load {
  const board: Board = { outcomes: [], unsettled: [], begun: 0 };
  const clients = Array.from({ length: buyers }, (_, index) => createBuyer(options, index));
  const ended = Promise.all(clients.map((buyer) => buyUntilOver(buyer, board))).then(() => undefined);
  return { outcomes: board.outcomes, ended, settle: (withinMs) => settle(board, withinMs) };
}

function createBuyer(options: LoadOptions, index: number): Buyer {
  const customer = `user_${String(index).padStart(26, "0")}`;
  const random = createRandom(options.seed, `buyer ${index}`);
  return { ...options, customer, random, token: { text: "", untilMs: 0 }, orderIds: [] };
}

const elapsedMs = ({ startedAtMs }: LoadOptions) => Math.round(performance.now() - startedAtMs);

async function buyUntilOver(buyer: Buyer, board: Board) {
  const { ordersPerSecond, durationMs } = buyer;
  const total = Math.ceil((ordersPerSecond * durationMs) / 1_000);
  while (board.begun < total && elapsedMs(buyer) < durationMs) {
    const due = (elapsedMs(buyer) * ordersPerSecond) / 1_000;
    if (board.begun >= due) {
      await pause(20);
      continue;
    }
    board.begun += 1;
    await shopOnce(buyer, board, board.begun);
  }
}

/** One intention: an order, its repetitions, and a look at an earlier one. */
async function shopOnce(buyer: Buyer, board: Board, op: number) {
  const { random } = buyer;
  const body = drawPurchase(random, buyer.goods);
  const key = `chaos-${buyer.seed}-${op}`;
  const [repeats, alters, looks] = [random.chance(0.2), random.chance(0.01), random.chance(0.4)];
  const settled = await placeUntilKnown(buyer, board, { buyer, op, key, body }, patienceMs);
  if (!settled) return void board.unsettled.push({ buyer, op, key, body });
  if (repeats) await place(buyer, board, { op, key, body });
  if (alters) await place(buyer, board, { op, key, body: { ...body, paymentMethod: "pm_card_other" } }, true);
  if (looks && buyer.orderIds.length > 0) await look(buyer, board, op, random.pick(buyer.orderIds));
}

async function placeUntilKnown(buyer: Buyer, board: Board, { op, key, body }: Unsettled, withinMs: number) {
  const giveUpAtMs = performance.now() + withinMs;
  for (let attempt = 1; ; attempt += 1) {
    const { outcome } = await place(buyer, board, { op, key, body });
    if (outcome !== "unknown") return true;
    if (performance.now() > giveUpAtMs) return false;
    await pause(buyer.random.integer(50, Math.min(1_500, 100 * 2 ** attempt)));
  }
}

type Intention = Pick<Unsettled, "op" | "key" | "body">;

async function place(buyer: Buyer, board: Board, { op, key, body }: Intention, altered = false) {
  const about = { action: "place", op, customer: buyer.customer, key, ...(altered && { altered }) } as const;
  const { lines } = body as { lines: unknown };
  const answer = await ask(
    buyer,
    board,
    { ...about, asked: lines },
    { method: "POST", path: "/v1/orders", key, body },
  );
  if (answer.outcome === "ok") remember(buyer, orderOf(answer).orderId);
  return answer;
}

async function look(buyer: Buyer, board: Board, op: number, orderId: string) {
  const about = { action: "read", op, customer: buyer.customer, orderId } as const;
  await ask(buyer, board, about, { method: "GET", path: `/v1/orders/${orderId}` });
}

/** Sends once, and writes down what was asked and what was answered. */
async function ask(
  buyer: Buyer,
  board: Board,
  about: Omit<HistoryEntry, "atMs" | "phase">,
  request: Omit<DoorRequest, "token">,
): Promise<DoorAnswer> {
  const { history, gatewayUrl } = buyer;
  await history.write({ atMs: elapsedMs(buyer), phase: "invoke", ...about });
  const token = await currentToken(buyer);
  const answer = await knock(gatewayUrl, { ...request, token });
  if (answer.status === 401) buyer.token.untilMs = 0;
  const { outcome, status, reason, text } = answer;
  const atMs = elapsedMs(buyer);
  board.outcomes.push({ atMs, outcome });
  const { asked: _, ...rest } = about;
  const told =
    outcome === "ok" ? { ...toldOf(answer), ...(about.action !== "read" && { answer: text }) } : { reason };
  await history.write({ atMs, phase: outcome, ...rest, status, ...told });
  return answer;
}

interface ShownOrder {
  readonly orderId: string;
  readonly status: string;
}

const orderOf = ({ text }: DoorAnswer) => (JSON.parse(text) as { order: ShownOrder }).order;

function toldOf(answer: DoorAnswer) {
  const { orderId, status: shown } = orderOf(answer);
  return { orderId, shown };
}

const rememberedOrders = 5;

function remember({ orderIds }: Buyer, orderId: string) {
  orderIds.push(orderId);
  if (orderIds.length > rememberedOrders) orderIds.shift();
}

async function currentToken(buyer: Buyer): Promise<string> {
  if (performance.now() > buyer.token.untilMs) {
    const asked = { sub: buyer.customer, scope: "orders:create orders:read", roles: "customer" };
    buyer.token = {
      text: await fetchToken(buyer.issuerUrl, asked),
      untilMs: performance.now() + tokenLifetimeMs,
    };
  }
  return buyer.token.text;
}

async function settle(board: Board, withinMs: number): Promise<number> {
  const deadlineMs = performance.now() + withinMs;
  const left = board.unsettled.splice(0);
  const known = await Promise.all(
    left.map((one) => placeUntilKnown(one.buyer, board, one, Math.max(0, deadlineMs - performance.now()))),
  );
  return known.filter((settled) => !settled).length;
}
