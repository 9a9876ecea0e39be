import Stripe from "stripe";
import { describe, expect, test } from "vitest";
import { checkSignature, readNews } from "./webhook.ts";

const secret = "whsec_of_this_test";
const nowMs = Date.UTC(2026, 10, 21);
const stripe = new Stripe("sk_test_unused");

const anIntent = (changes: object = {}) => ({
  id: "pi_1",
  object: "payment_intent",
  status: "succeeded",
  amount: 4_200,
  currency: "eur",
  metadata: { command: "saga_1:authorize", order_id: "order_1" },
  last_payment_error: null,
  ...changes,
});

const anEvent = (type: string, object: object = anIntent()) =>
  Buffer.from(JSON.stringify({ id: "evt_1", object: "event", type, data: { object } }));

const sign = (payload: Buffer, atMs = nowMs, key = secret) =>
  stripe.webhooks.generateTestHeaderString({
    payload: payload.toString(),
    secret: key,
    timestamp: Math.floor(atMs / 1000),
  });

const invalid = expect.objectContaining({ reason: "WEBHOOK_SIGNATURE_INVALID" });
const payload = anEvent("payment_intent.succeeded");

describe("a webhook's signature", () => {
  test("as the official package makes it is accepted, also among others", () => {
    const header = sign(payload);
    expect(() => checkSignature(payload, header, secret, nowMs)).not.toThrow();
    const [time, signature] = header.split(",");
    expect(() => checkSignature(payload, `${time},v1=00,v0=11,${signature}`, secret, nowMs)).not.toThrow();
  });

  test("covers every byte of the body", () => {
    const tampered = Buffer.from(payload);
    tampered[tampered.length - 3] = (tampered.at(-3) ?? 0) ^ 1;
    expect(() => checkSignature(tampered, sign(payload), secret, nowMs)).toThrow(invalid);
  });

  test("covers the time it names", () => {
    const header = sign(payload).replace(/^t=\d+/, `t=${nowMs / 1000 + 1}`);
    expect(() => checkSignature(payload, header, secret, nowMs)).toThrow(invalid);
  });

  test.each([
    ["at the end of the tolerance", 300, false],
    ["one second past it", 301, true],
    ["as far in the future", -301, true],
  ])("%s is judged by its age", (_when, ageSeconds, refused) => {
    const check = () => checkSignature(payload, sign(payload, nowMs - ageSeconds * 1000), secret, nowMs);
    if (refused) expect(check).toThrow(invalid);
    else expect(check).not.toThrow();
  });

  test.each([
    ["missing", undefined],
    ["empty", ""],
    ["without a time", "v1=00"],
    ["without a signature", `t=${nowMs / 1000}`],
    ["of another length", `t=${nowMs / 1000},v1=00`],
    ["that is no hexadecimal", `t=${nowMs / 1000},v1=${"z".repeat(64)}`],
    ["of another secret", sign(payload, nowMs, "whsec_other")],
    ["with an odd time", `t=1e3,v1=${"0".repeat(64)}`],
  ])("%s is refused", (_what, header) => {
    expect(() => checkSignature(payload, header, secret, nowMs)).toThrow(invalid);
  });
});

describe("a webhook's news", () => {
  test.each([
    ["payment_intent.succeeded", {}, "taken", ""],
    ["payment_intent.amount_capturable_updated", { status: "requires_capture" }, "held", ""],
    ["payment_intent.canceled", { status: "canceled" }, "released", ""],
    [
      "payment_intent.payment_failed",
      { status: "requires_payment_method", last_payment_error: { decline_code: "insufficient_funds" } },
      "declined",
      "INSUFFICIENT_FUNDS",
    ],
  ])("%s says where the payment stands", (type, changes, standing, declineReason) => {
    expect(readNews(anEvent(type, anIntent(changes)))).toEqual({
      eventId: "evt_1",
      kind: type,
      authorizeKey: "saga_1:authorize",
      amount: { currencyCode: "EUR", amountMinor: 4_200n },
      truth: { reference: "pi_1", standing, declineReason },
    });
  });

  test.each([
    ["an event about something else", anEvent("charge.refunded")],
    [
      "an intent the processor has not decided",
      anEvent("payment_intent.processing", anIntent({ status: "processing" })),
    ],
    ["an intent of somebody else", anEvent("payment_intent.succeeded", anIntent({ metadata: {} }))],
    ["an intent without an amount", anEvent("payment_intent.succeeded", anIntent({ amount: "4200" }))],
    ["an event without an object", Buffer.from(`{"id":"evt_1","type":"payment_intent.succeeded"}`)],
    ["what is no event", Buffer.from("[]")],
    ["what is no JSON", Buffer.from("{")],
    ["an empty body", Buffer.alloc(0)],
  ])("is none in %s", (_what, body) => {
    expect(readNews(body)).toBeUndefined();
  });
});
