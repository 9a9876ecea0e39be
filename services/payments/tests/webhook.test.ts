import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  PaymentStatus,
  PaymentsService,
  ReceiveProcessorWebhookRequestSchema,
} from "#gen/souk/payments/v1/payments_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { eventually } from "#kit/testing/testing.ts";
import {
  aCheckout,
  authorized,
  type Checkout,
  captured,
  eventsOf,
  type Harness,
  startPayments,
  webhookSecret,
} from "./harness.ts";

let payments: Harness;
let caller: Client;
const stripe = new Stripe("sk_test_unused");

beforeAll(async () => {
  payments = await startPayments();
  caller = new Client(new URL(payments.service.url).host, credentials.createInsecure());
});

afterAll(async () => {
  caller?.close();
  await payments?.stop();
});

/** Delivers raw bytes as the gateway does; resolves to the reason it was refused for, or "taken in". */
function deliver(body: string, signature?: string): Promise<string> {
  const metadata = new Metadata();
  if (signature) metadata.set("stripe-signature", signature);
  const request = create(ReceiveProcessorWebhookRequestSchema, {
    payload: { contentType: "application/json", data: Buffer.from(body) },
  });
  const bytes = Buffer.from(toBinary(ReceiveProcessorWebhookRequestSchema, request));
  const path = `/${PaymentsService.typeName}/${PaymentsService.method.receiveProcessorWebhook.name}`;
  return new Promise((resolve) => {
    const done = (error: ServiceError | null) => resolve(error ? reasonOf(error) : "taken in");
    caller.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value) => value,
      bytes,
      metadata,
      { deadline: Date.now() + 5_000 },
      done,
    );
  });
}

/** The reason is readable in the status details as it stands. */
function reasonOf(error: ServiceError): string {
  const details = String(error.metadata.get("grpc-status-details-bin")[0]);
  return /WEBHOOK_[A-Z_]+|[A-Z]+_[A-Z_]+/.exec(details)?.[0] ?? error.message;
}

const sign = (payload: string, agoSeconds = 0, secret = webhookSecret) =>
  stripe.webhooks.generateTestHeaderString({
    payload,
    secret,
    timestamp: Math.floor(Date.now() / 1000) - agoSeconds,
  });

const statusOf = {
  succeeded: "succeeded",
  amount_capturable_updated: "requires_capture",
  canceled: "canceled",
  payment_failed: "requires_payment_method",
};

function anEvent({ request, keys }: Checkout, kind: keyof typeof statusOf, changes: object = {}) {
  const intent = {
    id: `pi_${keys.authorize}`,
    object: "payment_intent",
    status: statusOf[kind],
    amount: Number(request.amount.amountMinor),
    currency: "eur",
    metadata: { command: keys.authorize, order_id: request.orderId },
    last_payment_error: kind === "payment_failed" ? { decline_code: "generic_decline" } : null,
    ...changes,
  };
  return JSON.stringify({
    id: newId("evt"),
    object: "event",
    type: `payment_intent.${kind}`,
    data: { object: intent },
  });
}

const tell = (event: string) => deliver(event, sign(event));

/** A checkout whose authorization was recorded as intended; nobody has answered it yet. */
async function pendingCheckout() {
  const checkout = aCheckout();
  const { orderId, customerId, amount } = checkout.request;
  const paymentId = newId("payment");
  await payments.service.db.query(intend, [
    paymentId,
    checkout.keys.authorize,
    orderId,
    customerId,
    amount.amountMinor,
  ]);
  return { checkout, paymentId };
}

const intend = statement(
  "test-intend-payment",
  `insert into payments (payment_id, authorize_key, order_id, customer_id, amount_minor, currency_code, payment_method, status,
     created_at, updated_at)
   values ($1, $2, $3, $4, $5, 'EUR', 'pm_card_visa', 'PENDING', souk_now(), souk_now())`,
);

const standing = async (paymentId: string) => {
  const { payment } = await payments.staff.getPayment({ paymentId });
  return {
    status: Object.entries(PaymentStatus).find(([, value]) => value === payment?.status)?.[0],
    events: await eventsOf(payments, paymentId),
  };
};

describe("late truth", () => {
  test.each([
    ["amount_capturable_updated", "AUTHORIZED", "PaymentAuthorized"],
    ["succeeded", "CAPTURED", "PaymentCaptured"],
    ["canceled", "VOIDED", "PaymentVoided"],
    ["payment_failed", "DECLINED", "PaymentFailed"],
  ] as const)(
    "%s decides a pending payment, which is %s then, and announced once",
    async (kind, status, event) => {
      const { checkout, paymentId } = await pendingCheckout();
      const webhook = anEvent(checkout, kind);
      expect(await tell(webhook)).toBe("taken in");
      expect(await tell(webhook)).toBe("taken in");
      expect(await tell(anEvent(checkout, kind))).toBe("taken in");
      expect(await standing(paymentId)).toEqual({ status, events: [event] });
    },
  );

  test("books a capture that was never recorded", async () => {
    const { checkout, paymentId } = await pendingCheckout();
    await Promise.all(Array.from({ length: 5 }, () => tell(anEvent(checkout, "succeeded"))));
    const { entries } = await payments.staff.listLedgerEntries({ paymentId });
    expect(entries).toHaveLength(4);
    expect(entries.reduce((sum, { amountMinor }) => sum + amountMinor, 0n)).toBe(0n);
  });

  test("does not stop the command that it overtook", async () => {
    const checkout = aCheckout();
    const paymentId = await authorized(payments, checkout);
    const capturing = payments.orders.capturePayment(
      { paymentId },
      { idempotencyKey: checkout.keys.capture },
    );
    await tell(anEvent(checkout, "succeeded"));
    expect((await capturing).payment?.status).toBe(PaymentStatus.CAPTURED);
    expect((await standing(paymentId)).events).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
  });
});

describe("news that is none", () => {
  test("changes nothing and writes nothing: the payment stands there already", async () => {
    const checkout = aCheckout();
    const paymentId = await captured(payments, checkout);
    const remembered = await payments.service.db.query(countEvents);
    expect(await tell(anEvent(checkout, "succeeded"))).toBe("taken in");
    expect(await payments.service.db.query(countEvents)).toEqual(remembered);
    expect((await standing(paymentId)).events).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
  });

  test.each(["amount_capturable_updated", "canceled", "payment_failed"] as const)(
    "%s does not lead a captured payment back",
    async (kind) => {
      const checkout = aCheckout();
      const paymentId = await captured(payments, checkout);
      expect(await tell(anEvent(checkout, kind))).toBe("taken in");
      expect((await standing(paymentId)).status).toBe("CAPTURED");
    },
  );

  test("about payments of somebody else, or of no kind we know, is taken in and ignored", async () => {
    expect(await tell(anEvent(aCheckout(), "succeeded"))).toBe("taken in");
    expect(await tell(`{"id":"evt_1","type":"customer.created","data":{"object":{}}}`)).toBe("taken in");
    expect(await tell("no JSON at all")).toBe("taken in");
  });
});

test("webhooks are forgotten after 30 days", async () => {
  const { database, db } = payments.service;
  await db.query(
    statement(
      "test-old-events",
      `insert into processor_events (event_id, authorize_key, kind, received_at)
       select 'evt_old_' || n, 'key', 'captured', souk_now() - interval '30 days 1 minute' from generate_series(1, 2100) n
       union all select 'evt_young', 'key', 'captured', souk_now() - interval '29 days'`,
    ),
  );
  const replica = await startPayments({ database, processorUrl: payments.processor.url });
  const kept = statement(
    "test-kept-events",
    "select event_id from processor_events where authorize_key = 'key'",
  );
  await eventually(async () => expect(await db.query(kept)).toEqual([{ event_id: "evt_young" }]));
  await replica.stop();
});

const countEvents = statement("test-count-events", "select count(*) from processor_events");

describe("a webhook is refused", () => {
  test("when its signature is missing, wrong, of another secret or too old, and changes nothing", async () => {
    const { checkout, paymentId } = await pendingCheckout();
    const event = anEvent(checkout, "succeeded");
    const invalid = "WEBHOOK_SIGNATURE_INVALID";
    expect(await deliver(event)).toBe(invalid);
    expect(await deliver(`${event} `, sign(event))).toBe(invalid);
    expect(await deliver(event, sign(event, 0, "whsec_other"))).toBe(invalid);
    expect(await deliver(event, sign(event, 600))).toBe(invalid);
    expect(await standing(paymentId)).toEqual({ status: "PENDING", events: [] });
  });

  test("when it is about another amount or currency than the payment's", async () => {
    const { checkout, paymentId } = await pendingCheckout();
    expect(await tell(anEvent(checkout, "succeeded", { amount: 1 }))).toBe("WEBHOOK_CONTRADICTS_PAYMENT");
    expect(await tell(anEvent(checkout, "succeeded", { currency: "usd" }))).toBe(
      "WEBHOOK_CONTRADICTS_PAYMENT",
    );
    expect(await standing(paymentId)).toEqual({ status: "PENDING", events: [] });
  });
});
