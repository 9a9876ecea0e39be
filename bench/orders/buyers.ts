// Buyers in a process of their own: each places an order over REST, follows it over SSE to its end, and starts again.

import { Agent, type IncomingMessage, request } from "node:http";
import { orderBody } from "../../tools/client/order-body.ts";

/** What the parent tells this process. */
export interface BuyersTask {
  readonly gatewayUrl: string;
  readonly tokens: readonly string[];
  readonly productIds: readonly string[];
  readonly buyers: number;
  readonly warmUpMs: number;
  readonly runMs: number;
  readonly runs: number;
}

/** One run: orders that ended within it, and how long each took from submission to its last event. */
export interface BuyersRun {
  readonly seconds: number;
  readonly durationsMs: readonly number[];
  readonly failures: Readonly<Record<string, number>>;
}

/** What this process tells the parent. */
export type BuyersNote = { readonly begins: number } | { readonly ended: number; readonly run: BuyersRun };

interface Board {
  durationsMs: number[];
  failures: Record<string, number>;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
const answerTimeoutMs = 60_000;

process.once("message", (task: BuyersTask) => void work(task));

async function work(task: BuyersTask) {
  const until = performance.now() + task.warmUpMs + task.runMs * task.runs;
  const board: Board = { durationsMs: [], failures: {} };
  const buyers = Array.from({ length: task.buyers }, (_, index) => buyUntil(task, index, board, until));
  await pause(task.warmUpMs);
  for (let run = 0; run < task.runs; run += 1) await measure(task, board, run);
  await Promise.all(buyers);
  process.disconnect?.();
}

async function measure(task: BuyersTask, board: Board, run: number) {
  board.durationsMs = [];
  board.failures = {};
  const startedAt = performance.now();
  tell({ begins: run });
  await pause(task.runMs);
  const seconds = (performance.now() - startedAt) / 1_000;
  tell({ ended: run, run: { seconds, durationsMs: board.durationsMs, failures: board.failures } });
}

async function buyUntil(task: BuyersTask, index: number, board: Board, until: number) {
  const token = task.tokens[index % task.tokens.length] ?? "";
  for (let turn = 0; performance.now() < until; turn += 1) {
    const productId = task.productIds[(index * 7 + turn) % task.productIds.length] ?? "";
    const startedAt = performance.now();
    const outcome = await buy(task.gatewayUrl, token, productId).catch((error: Error) => error.message);
    if (outcome === "confirmed") board.durationsMs.push(performance.now() - startedAt);
    else board.failures[outcome] = (board.failures[outcome] ?? 0) + 1;
  }
}

async function buy(gatewayUrl: string, token: string, productId: string): Promise<string> {
  const orderId = await place(gatewayUrl, token, productId);
  return await follow(gatewayUrl, token, orderId);
}

async function place(gatewayUrl: string, token: string, productId: string): Promise<string> {
  const body = JSON.stringify(orderBody({ productId, quantity: 1, paymentMethod: "pm_card_visa" }));
  const response = await send(`${gatewayUrl}/v1/orders`, "POST", token, body);
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  if (response.statusCode !== 202) throw new Error(`placing answered ${response.statusCode}`);
  return JSON.parse(text).order.orderId;
}

async function follow(gatewayUrl: string, token: string, orderId: string): Promise<string> {
  const response = await send(`${gatewayUrl}/v1/orders/${orderId}:watch`, "GET", token);
  let last = "";
  for await (const chunk of response.setEncoding("utf8")) last = (last + chunk).slice(-2_000);
  if (last.includes("ORDER_STATUS_CONFIRMED")) return "confirmed";
  return last.includes("ORDER_STATUS_CANCELLED") ? "cancelled" : `watching answered ${response.statusCode}`;
}

function send(url: string, method: string, token: string, body?: string): Promise<IncomingMessage> {
  const headers: Record<string, string> = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    headers["idempotency-key"] = crypto.randomUUID();
  }
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent, timeout: answerTimeoutMs }, resolve);
    sent.once("error", reject);
    sent.once("timeout", () => sent.destroy(new Error("no answer in time")));
    sent.end(body);
  });
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const tell = (note: BuyersNote) => process.send?.(note);
