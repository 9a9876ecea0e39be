const TIMEOUT_MS = 10_000;

/**
 * Asks the gateway, with a customer's token, for a product to buy and for the customer's orders: that way the gateway,
 * the issuer, catalog and orders have answered together before anybody is told to buy. Resolves to a product's id.
 */
export async function proveOrderable(gatewayUrl: string, token: string): Promise<string> {
  const read = async (path: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${gatewayUrl}${path}`, {
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok)
      throw new Error(`GET ${path} was answered with ${response.status}: ${await response.text()}`);
    return response.json();
  };
  await read("/v1/orders?page_size=1");
  const { products } = (await read("/v1/products?page_size=1")) as { products: { productId: string }[] };
  const productId = products[0]?.productId;
  if (productId === undefined) throw new Error("The catalog lists no product");
  return productId;
}
