// Clients as careful as a good one is: what got no answer is asked for again under the same key, until there is one.

import { fetchToken } from "../../tools/client/tokens.ts";
import { pause } from "../pause.ts";
import { createRandom, type Random } from "../random.ts";
import { type DoorAnswer, type DoorRequest, knock } from "./door.ts";
import type { History, HistoryEntry } from "./history.ts";
import {
  altered,
  type Bought,
  cancellation,
  giveBack,
  type Intention,
  placement,
  type Regrets,
  refund,
} from "./intention.ts";
import { drawPurchase, type Goods } from "./purchase.ts";

/** What the load is made of. */
export interface LoadOptions {
  readonly gatewayUrl: string;
  readonly issuerUrl: string;
  readonly seed: number;
  readonly ordersPerSecond: number;
  readonly durationMs: number;
  readonly goods: readonly Goods[];
  readonly regrets: Regrets;
  readonly history: History;
  /** By `performance.now()`. */
  readonly startedAtMs: number;
}

/** What came of one attempt. */
export interface AttemptOutcome extends Pick<DoorAnswer, "outcome" | "reason"> {
  readonly atMs: number;
}

/** A running load. */
export interface Load {
  /** Outcomes of attempts so far, for the report's picture. */
  readonly outcomes: readonly AttemptOutcome[];
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
  /** The last few orders, to come back to. */
  readonly bought: Bought[];
}

/** An intention that got no answer yet. */
interface Unsettled {
  readonly buyer: Buyer;
  readonly intention: Intention;
}

interface Board {
  readonly outcomes: AttemptOutcome[];
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
  return { ...options, customer, random, token: { text: "", untilMs: 0 }, bought: [] };
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

/** One order, its repetitions, a change of mind, regrets about an earlier one, and a look at it. */
async function shopOnce(buyer: Buyer, board: Board, op: number) {
  const { random, bought, regrets } = buyer;
  const body = drawPurchase(random, buyer.goods);
  const order = placement(buyer.seed, op, body);
  const [repeats, alters, looks, cancels] = [0.2, 0.01, 0.4, 0.1].map((share) => random.chance(share));
  const [repays, returns] = [regrets.refundShare, regrets.returnShare].map((share) => random.chance(share));
  const earlier = bought.length > 0 ? random.pick(bought) : undefined;
  const answer = await insist(buyer, board, order);
  if (!answer) return;
  if (repeats) await send(buyer, board, order);
  if (alters) await send(buyer, board, altered(order), { altered: true });
  if (answer.outcome === "ok") {
    const { orderId } = orderOf(answer);
    remember(buyer, { orderId, lines: body.lines });
    if (cancels) await insist(buyer, board, cancellation(order, orderId));
  }
  if (!earlier) return;
  if (repays) await insist(buyer, board, refund(order, earlier, random));
  if (returns) await insist(buyer, board, giveBack(order, earlier, random));
  if (looks) await look(buyer, board, op, earlier.orderId);
}

/** Asks until there is an answer, and leaves it to {@link settle} where there is none for long. */
async function insist(buyer: Buyer, board: Board, intention: Intention) {
  const answer = await sendUntilKnown(buyer, board, intention, patienceMs);
  if (!answer) board.unsettled.push({ buyer, intention });
  return answer;
}

async function sendUntilKnown(buyer: Buyer, board: Board, intention: Intention, withinMs: number) {
  const giveUpAtMs = performance.now() + withinMs;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await send(buyer, board, intention);
    if (answer.outcome !== "unknown") return answer;
    if (performance.now() > giveUpAtMs) return undefined;
    await pause(buyer.random.integer(50, Math.min(1_500, 100 * 2 ** attempt)));
  }
}

async function send(buyer: Buyer, board: Board, intention: Intention, noted: { altered?: true } = {}) {
  const { action, op, key, path, body, asked, orderId } = intention;
  const about = { action, op, customer: buyer.customer, key, asked, ...noted };
  const entry = orderId === undefined ? about : { ...about, orderId };
  return await ask(buyer, board, entry, { method: "POST", path, key, body });
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
  const token = await currentToken(buyer).catch(() => undefined);
  const answer = token === undefined ? noToken : await knock(gatewayUrl, { ...request, token });
  if (answer.status === 401) buyer.token.untilMs = 0;
  const { outcome, status, reason, text } = answer;
  const atMs = elapsedMs(buyer);
  board.outcomes.push({ atMs, outcome, reason });
  const { asked: _, ...rest } = about;
  const told =
    outcome === "ok" ? { ...toldOf(answer), ...(about.action !== "read" && { answer: text }) } : { reason };
  await history.write({ atMs, phase: outcome, ...rest, status, ...told });
  return answer;
}

/** The issuer is no part of what is judged: whoever gets no token from it comes again. */
const noToken: DoorAnswer = { outcome: "unknown", status: 0, text: "", reason: "NO_TOKEN" };

interface ShownOrder {
  readonly orderId: string;
  readonly status: string;
}

const orderOf = ({ text }: DoorAnswer) => (JSON.parse(text) as { order: ShownOrder }).order;

/** What is told of a refund or a return shows no status of its order. */
function toldOf({ text }: DoorAnswer) {
  const { order } = JSON.parse(text) as { order?: ShownOrder };
  return order ? { orderId: order.orderId, shown: order.status } : {};
}

/** These customers may pay themselves back, which saves somebody to do it. */
const customerScopes = "orders:create orders:read orders:cancel orders:return payments:refund";
const rememberedOrders = 5;

function remember({ bought }: Buyer, order: Bought) {
  bought.push(order);
  if (bought.length > rememberedOrders) bought.shift();
}

async function currentToken(buyer: Buyer): Promise<string> {
  if (performance.now() > buyer.token.untilMs) {
    const asked = { sub: buyer.customer, scope: customerScopes, roles: "customer" };
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
    left.map(({ buyer, intention }) =>
      sendUntilKnown(buyer, board, intention, Math.max(0, deadlineMs - performance.now())),
    ),
  );
  return known.filter((answer) => !answer).length;
}
