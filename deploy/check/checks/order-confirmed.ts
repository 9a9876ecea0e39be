import type { Check } from "../check.ts";
import { callFrom } from "../cluster/caller.ts";
import { anybody, GATEWAY, orderCall } from "../cluster/requests.ts";
import { until } from "../cluster/until.ts";

const END_WITHIN_MS = 60_000;
const ACCEPTED = 202;

/** An order placed at the gateway goes through every service, the sandboxes, outbox and streams, and ends. */
export const orderConfirmed: Check = {
  name: "order-confirmed",
  async run(_, report) {
    const startedAt = performance.now();
    const [placed] = await callFrom("deploy/debug", [orderCall(await pickProduct())], anybody);
    const orderId = placed?.status === ACCEPTED ? orderIdIn(placed.text) : undefined;
    report.expect(
      orderId !== undefined,
      "an order is accepted",
      `${placed?.status} ${placed?.text.slice(0, 120)}`,
    );
    if (orderId === undefined) return;
    const status = await until(`the end of ${orderId}`, END_WITHIN_MS, async () => {
      const now = await statusOf(orderId);
      return now === "PENDING" ? undefined : now;
    });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    report.expect(status === "CONFIRMED", "it ends CONFIRMED", `${orderId} was ${status} after ${seconds} s`);
  },
};

/** Any product that the seeded shop sells. */
export async function pickProduct(): Promise<string> {
  const path = "/v1/products?page_size=1";
  return await until("a product to buy", END_WITHIN_MS, async () => {
    const [answer] = await callFrom("deploy/debug", [{ kind: "http", target: GATEWAY, path }]);
    return /"productId":\s*"(\w+)"/.exec(answer?.text ?? "")?.[1];
  });
}

const orderIdIn = (text: string) => /"orderId":\s*"(\w+)"/.exec(text)?.[1];

async function statusOf(orderId: string): Promise<string> {
  const call = { kind: "http", target: GATEWAY, path: `/v1/orders/${orderId}` } as const;
  const [answer] = await callFrom("deploy/debug", [call], anybody);
  return /"status":\s*"ORDER_STATUS_(\w+)"/.exec(answer?.text ?? "")?.[1] ?? "PENDING";
}
