// What hostile inputs are aimed at.

import { join } from "node:path";
import { SignJWT } from "jose";
import { eventually } from "#kit/testing/testing.ts";
import { fetchToken } from "../../tools/client/tokens.ts";
import { readSigningKey } from "../../tools/issuer/signing-key.ts";
import {
  buy,
  type Goods,
  type Person,
  purchaseBody,
  readOrder,
  type Shop,
  type ShownOrder,
} from "../shop.ts";

/** What the inputs are about. */
export interface Scene {
  readonly shop: Shop;
  /** Has bought one piece of `goods`. */
  readonly buyer: Person;
  /** Has bought twice, so that a page of one has a next page. */
  readonly stranger: Person;
  readonly goods: Goods;
  /** A product whose price is in dollars; shipping fees are in euros. */
  readonly foreign: Goods;
  /** A product at the highest price there is. */
  readonly dear: Goods;
  /** How the buyer's order was placed, to be repeated. */
  readonly placed: { readonly key: string; readonly body: object };
  /** Tokens of the buyer's that do not let them order: for reading only, and too old. */
  readonly tokens: { readonly reading: string; readonly expired: string };
  /** The buyer's order. */
  readonly orderId: string;
  /** What it costs, in cents. */
  readonly totalMinor: number;
  readonly paymentId: string;
  /** The stranger's order whose parcel has left. */
  readonly sentOrderId: string;
  /** The order's payment as the card processor knows it. */
  readonly intent: Intent;
  /** The stranger's order's, of another amount. */
  readonly otherIntent: Intent;
}

/** A payment as the card processor's webhooks name it. */
export interface Intent {
  readonly id: string;
  /** The key it was asked for under. */
  readonly command: string;
  readonly amountMinor: number;
}

const pieces = 1_000;

/** Sets the scene: products on sale, and two customers who have bought. */
export async function setScene(shop: Shop): Promise<Scene> {
  const [buyer, stranger] = await Promise.all([shop.person(), shop.person()]);
  const [goods, foreign, dear] = await Promise.all([shop.sell(pieces), shop.sell(pieces), shop.sell(pieces)]);
  await Promise.all([
    reprice(shop, foreign, { currencyCode: "USD", amountMinor: "900" }),
    reprice(shop, dear, { currencyCode: "EUR", amountMinor: "1000000000000" }),
  ]);
  const placed = { key: crypto.randomUUID(), body: purchaseBody({ goods }) };
  const orderId = await place(shop, buyer, placed);
  const { paymentId, total } = await readConfirmed(shop, buyer, orderId);
  await buy(shop, stranger, { goods });
  const { orderId: otherId } = await buy(shop, stranger, { goods, quantity: 3 });
  await shop.dispatch(otherId);
  return {
    shop,
    buyer,
    stranger,
    goods,
    foreign,
    dear,
    placed,
    tokens: await makeTokens(shop, buyer),
    orderId,
    totalMinor: Number(total.amountMinor),
    paymentId,
    sentOrderId: otherId,
    intent: await readIntent(shop, orderId),
    otherIntent: await readIntent(shop, otherId),
  };
}

async function reprice(shop: Shop, { productId }: Goods, price: object) {
  const { status, text } = await shop.rest("PATCH", `/v1/products/${productId}`, {
    token: shop.staff.token,
    key: crypto.randomUUID(),
    body: { price },
  });
  if (status !== 200) throw new Error(`changing a price answered ${status}: ${text}`);
}

async function place(shop: Shop, { token }: Person, placed: Scene["placed"]): Promise<string> {
  const { status, body, text } = await shop.rest<{ order: ShownOrder }>("POST", "/v1/orders", {
    token,
    ...placed,
  });
  if (status !== 202) throw new Error(`placing answered ${status}: ${text}`);
  return body.order.orderId;
}

async function makeTokens({ issuerUrl, processes }: Shop, { sub }: Person): Promise<Scene["tokens"]> {
  const path = join(processes.folder, "issuer", "signing-key.json");
  const { privateKey, keyId } = await readSigningKey(path);
  const expired = new SignJWT({ sub, scope: "orders:create", client_id: "shop", roles: ["customer"] })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: keyId })
    .setIssuer(issuerUrl)
    .setAudience("souk")
    .setIssuedAt("-20m")
    .setExpirationTime("-5m")
    .setJti(crypto.randomUUID());
  return {
    reading: await fetchToken(issuerUrl, { sub, scope: "orders:read", roles: "customer" }),
    expired: await expired.sign(privateKey),
  };
}

/** Reads an order once it is confirmed. */
export function readConfirmed(shop: Shop, person: Person, orderId: string): Promise<ShownOrder> {
  return eventually(async () => {
    const order = await readOrder(shop, person, orderId);
    if (order.status !== "ORDER_STATUS_CONFIRMED") throw new Error(`${orderId} is ${order.status}`);
    return order;
  });
}

async function readIntent(shop: Shop, orderId: string): Promise<Intent> {
  type Line = { payment_intent: string; amount: number; metadata: { command: string } };
  const [authorized] = (await shop.processorLedger(orderId)) as unknown as Line[];
  if (!authorized) throw new Error(`the card processor knows nothing of ${orderId}`);
  const { payment_intent: id, amount: amountMinor, metadata } = authorized;
  return { id, command: metadata.command, amountMinor };
}
