import { fetchToken } from "../../tools/client/tokens.ts";
import { knock } from "./door.ts";
import type { Goods } from "./purchase.ts";

/** Where a shop is, and how much it is going to be asked for. */
export interface StockingOptions {
  readonly gatewayUrl: string;
  readonly issuerUrl: string;
  /** Orders that are going to be placed. */
  readonly orders: number;
  /** Tells the goods of this run from those of others. */
  readonly run: string;
}

const staffScopes = "catalog:write inventory:read inventory:write";
const ordinary = 18;
const plenty = 900_000;
/** Of the orders, the share that wants a hot product, and how much of that there is. */
const hotDemand = 0.15 * 2;
const hotSupply = 0.4;
const attempts = 5;

/** Puts the goods of a run on sale: ordinary ones, two hot ones of which there are too few, one in another currency. */
export async function stockShop(options: StockingOptions): Promise<Goods[]> {
  const person = { sub: "user_chaosstaff000000000000000", scope: staffScopes, roles: "operator" };
  const token = await fetchToken(options.issuerUrl, person);
  const change = <Body>(path: string, body: object) => ask<Body>(options, token, path, body);
  const { category } = await change<{ category: { categoryId: string } }>("/v1/categories", {
    name: "Chaos",
    slug: `chaos-${options.run}`,
  });
  const goods: Goods[] = [];
  for (const wanted of assortment(options)) {
    const price = { currencyCode: wanted.currencyCode, amountMinor: "1250" };
    const { sku } = wanted;
    const facts = {
      sku,
      name: `Lamp ${sku}`,
      description: "Gives light.",
      categoryId: category.categoryId,
      price,
    };
    const { product } = await change<{ product: { productId: string } }>("/v1/products", facts);
    await change(`/v1/stock/${sku}:adjust`, { quantity: wanted.pieces, reason: "MOVEMENT_REASON_RECEIVED" });
    goods.push({ ...wanted, productId: product.productId });
  }
  return goods;
}

function assortment({ orders, run }: StockingOptions): Omit<Goods, "productId">[] {
  const few = Math.max(20, Math.round((orders * hotDemand * hotSupply) / 2));
  const skuOf = (number: number) => `CHAOS-${run.toUpperCase()}-${String(number).padStart(2, "0")}`;
  const euro = { currencyCode: "EUR", pieces: plenty, hot: false };
  return [
    ...Array.from({ length: ordinary }, (_, index) => ({ ...euro, sku: skuOf(index + 1) })),
    ...[19, 20].map((number) => ({ ...euro, sku: skuOf(number), pieces: few, hot: true })),
    { sku: skuOf(21), currencyCode: "USD", pieces: plenty, hot: false },
  ];
}

async function ask<Body>(options: StockingOptions, token: string, path: string, body: object): Promise<Body> {
  const key = crypto.randomUUID();
  for (let attempt = 1; ; attempt += 1) {
    const answer = await knock(options.gatewayUrl, { method: "POST", path, token, key, body });
    if (answer.outcome === "ok") return JSON.parse(answer.text) as Body;
    if (answer.outcome === "fail" || attempt === attempts)
      throw new Error(`POST ${path} was answered with ${answer.status} ${answer.reason}: ${answer.text}`);
  }
}
