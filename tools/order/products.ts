import { randomInt } from "node:crypto";
import type { Buyer } from "./buy.ts";

/** A product as far as a buyer cares. */
export type ShopProduct = { productId: string; name: string; availability: string };

const TIMEOUT_MS = 10_000;

/** Reads a page of products of which enough is left; throws where there are none. */
export async function readProducts({ gatewayUrl }: Pick<Buyer, "gatewayUrl">): Promise<ShopProduct[]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(`${gatewayUrl}/v1/products?page_size=100`, { signal });
  if (!response.ok) throw new Error(`The shop answered ${response.status}: ${await response.text()}`);
  const { products } = (await response.json()) as { products: ShopProduct[] };
  const plenty = products.filter(({ availability }) => availability !== "AVAILABILITY_LOW");
  if (plenty.length === 0) throw new Error("The shop has nothing left to sell");
  return plenty;
}

/** Picks any of the products. */
export function pickProduct(products: readonly ShopProduct[]): ShopProduct {
  const product = products[randomInt(products.length)];
  if (!product) throw new Error("There is no product to pick from");
  return product;
}
