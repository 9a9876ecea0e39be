import { randomUUID } from "node:crypto";
import { orderBody } from "../client/order-body.ts";
import type { Ports } from "./ports.ts";
import { urlOf } from "./processes.ts";

/** What the text tells of. */
export type ReadyFacts = { ports: Ports; order: { token: string; productId: string }; seconds: number };

/** What is said when the shop is ready: what to open, and an order to copy. */
export function readyText({ ports, order, seconds }: ReadyFacts): string {
  const gatewayUrl = urlOf(ports.gateway);
  const body = JSON.stringify(
    orderBody({ productId: order.productId, quantity: 1, paymentMethod: "pm_card_visa" }),
  );
  return `
Souk is ready after ${seconds.toFixed(1)} s.

  Products   ${gatewayUrl}/v1/products
  Search     ${gatewayUrl}/v1/products:search?query=lamp
  Metrics    ${urlOf(ports["orders-metrics"])}/metrics   (each service has its own)
  Tokens     ${urlOf(ports.issuer)}/token   (npm run token)

Buy something in another terminal: npm run order
Or by hand (the token is good for 15 minutes):

curl -i ${gatewayUrl}/v1/orders \\
  -H 'Authorization: Bearer ${order.token}' \\
  -H 'Idempotency-Key: ${randomUUID()}' \\
  -H 'Content-Type: application/json' \\
  -d '${body}'

npm run top shows what everything is doing. Ctrl-C stops.
`;
}
