// One purchase over the public door: POST /v1/orders, then its steps as server-sent events until the order has ended; and cancelling it.

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { orderBody } from "../client/order-body.ts";
import { readEvents } from "./event-stream.ts";

/** Where and as whom to buy. */
export type Buyer = { gatewayUrl: string; token: string };

/** What to buy, and how to pay. */
export type Purchase = { productId: string; quantity: number; paymentMethod: string };

/** A state an order has reached: `CONFIRMED`, `STOCK_RESERVED`; the names are those of the contract, without prefix. */
export type Progress = { orderId: string; status: string; step: string; cancelReason: string };

/** An amount in the currency's minor unit. */
export type Money = { currencyCode: string; amountMinor: string };

/** An order as the shop accepted it. */
export type PlacedOrder = { orderId: string; total: Money };

type WireProgress = { orderId: string; status: string; step: string; cancelReason?: string };

/** Checkout's own budgets add up to less; an order that takes longer is stuck. */
const END_WITHIN_MS = 120_000;
const CALL_TIMEOUT_MS = 10_000;
const ASK_ATTEMPTS = 8;
const RETRY_MS = 250;
const MAX_WAIT_MS = 30_000;
const ENDS = new Set(["CONFIRMED", "CANCELLED", "REFUNDED"]);
const RETRIED_STATUSES = new Set([429, 502, 503, 504]);

/** Places an order; repeats it under the same Idempotency-Key where the answer was lost or the shop asked to wait. */
export async function placeOrder(buyer: Buyer, purchase: Purchase): Promise<PlacedOrder> {
  return ((await ask(buyer, "/v1/orders", orderBody(purchase))) as { order: PlacedOrder }).order;
}

/** Asks to cancel an order; how that ends is for `followOrder` to see. */
export async function cancelOrder(buyer: Buyer, orderId: string): Promise<void> {
  await ask(buyer, `/v1/orders/${orderId}:cancel`, {});
}

/** Posts under one Idempotency-Key until there is an answer, or rejects with what was refused. */
async function ask(buyer: Buyer, path: string, message: object): Promise<unknown> {
  const headers = {
    ...bearer(buyer),
    "content-type": "application/json",
    "idempotency-key": randomUUID(),
  };
  const body = JSON.stringify(message);
  for (let attempt = 1; ; attempt += 1) {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const response = await fetch(buyer.gatewayUrl + path, {
      method: "POST",
      headers,
      body,
      signal,
    }).catch((error: Error) => error);
    const mayRepeat = response instanceof Error || RETRIED_STATUSES.has(response.status);
    if (mayRepeat && attempt < ASK_ATTEMPTS) {
      await delay(waitMs(response));
      continue;
    }
    if (response instanceof Error) throw response;
    if (response.status !== 202) throw await refusal(response);
    return await response.json();
  }
}

/** Follows an order to its end, over as many streams as that takes, and reports each new state once. */
export async function followOrder(
  buyer: Buyer,
  orderId: string,
  onProgress: (progress: Progress) => void,
): Promise<Progress> {
  const deadline = AbortSignal.timeout(END_WITHIN_MS);
  let last = "";
  while (!deadline.aborted) {
    for await (const progress of watchOnce(buyer, orderId, deadline)) {
      const state = `${progress.status} ${progress.step}`;
      if (state !== last) onProgress(progress);
      last = state;
      if (ENDS.has(progress.status)) return progress;
    }
    await delay(RETRY_MS);
  }
  throw new Error(
    `${orderId} has not ended within ${END_WITHIN_MS / 1000} s; its last state was ${last || "unknown"}`,
  );
}

/** One stream; it ends early where the connection is lost, which is no failure of the order. */
async function* watchOnce(buyer: Buyer, orderId: string, signal: AbortSignal): AsyncGenerator<Progress> {
  const headers = { ...bearer(buyer), accept: "text/event-stream" };
  const response = await fetch(`${buyer.gatewayUrl}/v1/orders/${orderId}:watch`, { headers, signal }).catch(
    () => undefined,
  );
  if (!response || RETRIED_STATUSES.has(response.status)) return;
  if (!response.ok || !response.body) throw await refusal(response);
  try {
    for await (const { event, data } of readEvents(response.body)) {
      if (event === "error") return;
      yield toProgress(JSON.parse(data));
    }
  } catch (error) {
    if (!(error instanceof TypeError || signal.aborted)) throw error;
  }
}

function toProgress({ orderId, status, step, cancelReason = "" }: WireProgress): Progress {
  return {
    orderId,
    status: status.replace("ORDER_STATUS_", ""),
    step: step.replace("CHECKOUT_STEP_", ""),
    cancelReason,
  };
}

function waitMs(response: Response | Error): number {
  const seconds = response instanceof Response ? Number(response.headers.get("retry-after")) : 0;
  return Math.min(Math.max(seconds * 1000 || RETRY_MS, RETRY_MS), MAX_WAIT_MS);
}

async function refusal(response: Response): Promise<Error> {
  return new Error(`The shop answered ${response.status}: ${await response.text()}`);
}

function bearer({ token }: Buyer) {
  return { authorization: `Bearer ${token}` };
}
