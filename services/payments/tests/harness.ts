import { randomInt } from "node:crypto";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import type { Client } from "#kit/rpc/client.ts";
import { announcedInOrder } from "#kit/testing/announced.ts";
import { startForTest, type TestService } from "#kit/testing/testing.ts";
import { payments } from "../main.ts";
import { apiKey, type CardProcessorSandbox, startCardProcessor } from "./sandbox.ts";

/** What the processor of these tests signs its webhooks with. */
export const webhookSecret = "whsec_payments_test";

/** How long the service of these tests waits for the processor. */
const processorTimeoutMs = 600;

/** Payments with a card processor of its own. */
export interface Harness {
  readonly service: TestService;
  readonly processor: CardProcessorSandbox;
  /** The caller that runs checkouts. */
  readonly orders: Client<typeof PaymentsService>;
  /** Somebody who may refund. */
  readonly staff: Client<typeof PaymentsService>;
  customer(sub: string): Client<typeof PaymentsService>;
  stop(): Promise<void>;
}

/** The variables payments needs beside those of every service. */
export const paymentsEnvironment = (processorUrl: string): Record<string, string> => ({
  CARD_PROCESSOR_URL: processorUrl,
  CARD_PROCESSOR_KEY: apiKey,
  CARD_PROCESSOR_WEBHOOK_SECRET: webhookSecret,
  CARD_PROCESSOR_TIMEOUT_MS: String(processorTimeoutMs),
});

/** Starts payments and its processor. */
export async function startPayments(
  options: { database?: TestService["database"]; processorUrl?: string } = {},
): Promise<Harness> {
  const processor = await startCardProcessor({ WITHHOLD_MS: "60000", SLOW_MS: "200" });
  const { database, processorUrl = processor.url } = options;
  const env = paymentsEnvironment(processorUrl);
  const service = await startForTest(payments, database ? { env, database } : { env });
  return {
    service,
    processor,
    orders: service.client(PaymentsService, { service: "orders" }),
    staff: service.client(PaymentsService, { sub: "user_staff", scope: "payments:read payments:refund" }),
    customer: (sub) => service.client(PaymentsService, { sub, scope: "payments:read" }),
    async stop() {
      await service.stop();
      await processor.stop();
    },
  };
}

/** A checkout's wish to be paid, with keys as a saga makes them. */
export function aCheckout(changes: { paymentMethod?: string; amountMinor?: bigint } = {}) {
  const saga = newId("saga");
  return {
    keys: {
      authorize: `${saga}:authorize`,
      void: `${saga}:authorize:undo`,
      capture: `${saga}:capture`,
    },
    request: {
      orderId: newId("order"),
      customerId: newId("user"),
      amount: { currencyCode: "EUR", amountMinor: changes.amountMinor ?? BigInt(randomInt(500, 50_000)) },
      paymentMethod: changes.paymentMethod ?? "pm_card_visa",
    },
  };
}

/** A checkout of that kind. */
export type Checkout = ReturnType<typeof aCheckout>;

/** Authorizes a checkout's payment and answers its id. */
export async function authorized({ orders }: Harness, checkout: Checkout): Promise<string> {
  const { payment } = await orders.authorizePayment(checkout.request, {
    idempotencyKey: checkout.keys.authorize,
  });
  return payment?.paymentId ?? "";
}

/** Authorizes and captures a checkout's payment and answers its id. */
export async function captured(harness: Harness, checkout: Checkout): Promise<string> {
  const paymentId = await authorized(harness, checkout);
  await harness.orders.capturePayment({ paymentId }, { idempotencyKey: checkout.keys.capture });
  return paymentId;
}

/** What the processor did for a checkout: `kind amount`, oldest first. */
export async function processorDid(
  { processor }: Pick<Harness, "processor">,
  { request }: Checkout,
): Promise<string[]> {
  const entries = await processor.ledger(`metadata[order_id]=${request.orderId}`);
  return entries.map(({ kind, amount }) => `${kind} ${amount}`);
}

/** Names of the events announced about a payment, oldest first. */
export async function eventsOf({ service }: Harness, paymentId: string): Promise<string[]> {
  return await announcedInOrder(service.db, paymentId);
}
