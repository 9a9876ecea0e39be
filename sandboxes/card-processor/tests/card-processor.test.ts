import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxProcess, startSandboxProcess } from "../../sandbox-process.ts";

const WEBHOOK_SECRET = "whsec_test";
const SLOW_MS = 1000;
const WITHHOLD_MS = 1500;

type Received = { body: string; signature: string };
type Inbox = { server: Server; url: string; received: Received[]; failing: boolean };

let folder: string;
let inbox: Inbox;
let processor: SandboxProcess;
let stripe: Stripe;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "souk-card-processor-"));
  inbox = await startInbox();
  processor = await startProcessor(folder);
  stripe = clientOf(processor);
});

afterAll(async () => {
  await processor.stop();
  inbox.server.closeAllConnections();
  inbox.server.close();
  await rm(folder, { recursive: true, force: true });
});

describe("payment intents through the official client", () => {
  test("an intent is created, confirmed and captured in three steps", async () => {
    const created = await stripe.paymentIntents.create({
      amount: 1999,
      currency: "EUR",
      capture_method: "manual",
      description: "Two teapots & a cup",
      metadata: { saga: "saga_1", note: "größe=ß&[x]" },
    });
    expect(created).toMatchObject({ status: "requires_payment_method", amount: 1999, currency: "eur" });
    expect(created.metadata).toEqual({ saga: "saga_1", note: "größe=ß&[x]" });
    expect(created.description).toBe("Two teapots & a cup");
    const confirmed = await stripe.paymentIntents.confirm(created.id, { payment_method: "pm_card_visa" });
    expect(confirmed).toMatchObject({
      status: "requires_capture",
      amount_capturable: 1999,
      amount_received: 0,
    });
    const captured = await stripe.paymentIntents.capture(created.id);
    expect(captured).toMatchObject({ status: "succeeded", amount_capturable: 0, amount_received: 1999 });
    expect(await stripe.paymentIntents.retrieve(created.id)).toMatchObject({ status: "succeeded" });
    expect(await kindsOf(created.id)).toEqual(["created", "authorized", "captured"]);
  });

  test("an automatic charge is captured at once and is one line of the ledger", async () => {
    const intent = await charge({ capture_method: "automatic" });
    expect(intent).toMatchObject({ status: "succeeded", amount_received: 1000 });
    expect(await kindsOf(intent.id)).toEqual(["captured"]);
  });

  test("a part can be captured, more than is authorized cannot", async () => {
    const intent = await charge({});
    const refusal = await refusalOf(stripe.paymentIntents.capture(intent.id, { amount_to_capture: 1001 }));
    expect(refusal).toMatchObject({ statusCode: 400, code: "amount_too_large", param: "amount_to_capture" });
    const captured = await stripe.paymentIntents.capture(intent.id, { amount_to_capture: 400 });
    expect(captured).toMatchObject({ amount: 1000, amount_received: 400, amount_capturable: 0 });
  });

  test("a canceled intent holds nothing and cannot be captured", async () => {
    const intent = await charge({});
    const canceled = await stripe.paymentIntents.cancel(intent.id, { cancellation_reason: "abandoned" });
    expect(canceled).toMatchObject({
      status: "canceled",
      amount_capturable: 0,
      cancellation_reason: "abandoned",
    });
    const refusal = await refusalOf(stripe.paymentIntents.capture(intent.id));
    expect(refusal).toMatchObject({ statusCode: 400, code: "payment_intent_unexpected_state" });
    expect(refusal.payment_intent?.status).toBe("canceled");
    expect(await kindsOf(intent.id)).toEqual(["authorized", "canceled", "refused"]);
  });

  test("a captured intent cannot be captured, confirmed or canceled again", async () => {
    const intent = await charge({ capture_method: "automatic" });
    for (const again of [
      () => stripe.paymentIntents.capture(intent.id),
      () => stripe.paymentIntents.confirm(intent.id),
      () => stripe.paymentIntents.cancel(intent.id),
    ]) {
      expect(await refusalOf(again())).toMatchObject({ code: "payment_intent_unexpected_state" });
    }
    expect((await stripe.paymentIntents.retrieve(intent.id)).amount_received).toBe(1000);
  });

  test("a list shows the newest first and pages in both directions", async () => {
    const saga = "saga_list";
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.push((await charge({ metadata: { saga } })).id);
    const first = await stripe.paymentIntents.list({ limit: 2 });
    expect(first.data.map(({ id }) => id)).toEqual([ids[4], ids[3]]);
    expect(first.has_more).toBe(true);
    const second = await stripe.paymentIntents.list({ limit: 2, starting_after: ids[3] as string });
    expect(second.data.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    const back = await stripe.paymentIntents.list({ limit: 2, ending_before: ids[1] as string });
    expect(back.data.map(({ id }) => id)).toEqual([ids[3], ids[2]]);
    const created = first.data[0]?.created as number;
    expect((await stripe.paymentIntents.list({ created: { gt: created } })).data).toEqual([]);
    expect((await stripe.paymentIntents.list({ created: { gte: created } })).data[0]?.id).toBe(ids[4]);
    expect((await stripe.paymentIntents.list({ created: { lt: 1000 } })).data).toEqual([]);
    const seen: string[] = [];
    for await (const { id } of stripe.paymentIntents.list({ limit: 2 })) if (ids.includes(id)) seen.push(id);
    expect(seen).toEqual(ids.toReversed());
  });

  test("an intent shows its charge whole when asked to, also in lists and searches", async () => {
    const saga = "saga_expand";
    const refunded = await charge({ capture_method: "automatic", metadata: { saga } });
    await stripe.refunds.create({ payment_intent: refunded.id, amount: 300 });
    const held = await charge({ metadata: { saga } });
    const released = await charge({ metadata: { saga } });
    await stripe.paymentIntents.cancel(released.id);
    const uncharged = await stripe.paymentIntents.create({
      amount: 5,
      currency: "eur",
      metadata: { saga },
    });
    const chargesOf = (intents: readonly Stripe.PaymentIntent[]) =>
      intents.map(({ latest_charge: shown }) =>
        typeof shown === "object" && shown !== null
          ? [shown.captured, shown.amount_refunded, shown.refunded]
          : shown,
      );
    const expected = [null, [false, 1000, true], [false, 0, false], [true, 300, false]];
    const expand = ["data.latest_charge"];
    const listed = await stripe.paymentIntents.list({ limit: 4, expand });
    expect(listed.data.map(({ id }) => id)).toEqual([uncharged.id, released.id, held.id, refunded.id]);
    expect(chargesOf(listed.data)).toEqual(expected);
    const query = `metadata['saga']:'${saga}'`;
    expect(chargesOf((await stripe.paymentIntents.search({ query, expand })).data)).toEqual(expected);
    const one = await stripe.paymentIntents.retrieve(refunded.id, { expand: ["latest_charge"] });
    expect(one.latest_charge).toMatchObject({
      object: "charge",
      amount_captured: 1000,
      amount_refunded: 300,
    });
    expect((await stripe.paymentIntents.retrieve(refunded.id)).latest_charge).toBe(refunded.latest_charge);
    for (const path of ["latest_charge", "data.customer"]) {
      const refusal = await refusalOf(stripe.paymentIntents.list({ expand: [path] }));
      expect(refusal).toMatchObject({ statusCode: 400, param: "expand" });
    }
  });

  test("an intent is found by its metadata", async () => {
    const intent = await charge({ metadata: { saga: "saga_search" } });
    const found = await stripe.paymentIntents.search({ query: "metadata['saga']:'saga_search'" });
    expect(found.data.map(({ id }) => id)).toEqual([intent.id]);
  });
});

describe("test cards", () => {
  test("a declined card moves no money", async () => {
    const refusal = await refusalOf(charge({ payment_method: "pm_card_chargeDeclined" }));
    expect(refusal).toMatchObject({ statusCode: 402, type: "StripeCardError", code: "card_declined" });
    expect(refusal.decline_code).toBe("generic_decline");
    const intent = refusal.payment_intent as Stripe.PaymentIntent;
    expect(intent).toMatchObject({ status: "requires_payment_method", amount_capturable: 0 });
    expect(await kindsOf(intent.id)).toEqual(["declined"]);
    const retried = await stripe.paymentIntents.confirm(intent.id, { payment_method: "pm_card_visa" });
    expect(retried).toMatchObject({ status: "requires_capture", last_payment_error: null });
  });

  test("a card without funds says so", async () => {
    const refusal = await refusalOf(charge({ payment_method: "pm_card_chargeDeclinedInsufficientFunds" }));
    expect(refusal).toMatchObject({ statusCode: 402, decline_code: "insufficient_funds" });
  });

  test("a card that declines the capture stays authorized and can be released", async () => {
    const intent = await charge({ payment_method: "pm_card_captureDeclined" });
    const refusal = await refusalOf(stripe.paymentIntents.capture(intent.id));
    expect(refusal).toMatchObject({ statusCode: 402, code: "card_declined" });
    expect(await stripe.paymentIntents.cancel(intent.id)).toMatchObject({ status: "canceled" });
    expect(await kindsOf(intent.id)).toEqual(["authorized", "declined", "canceled"]);
  });

  test("a slow card answers late, and its key is in use until then", async () => {
    const startedAt = performance.now();
    const options = { idempotencyKey: "slow-1", maxNetworkRetries: 0 };
    const both = await Promise.allSettled(
      [1, 2].map(() => charge({ payment_method: "pm_card_slow" }, options)),
    );
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SLOW_MS - 5);
    const refused = both.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    expect(refused.reason).toMatchObject({ statusCode: 409, code: "idempotency_key_in_use" });
    const intent = await charge({ payment_method: "pm_card_slow" }, options);
    expect(both).toContainEqual({ status: "fulfilled", value: intent });
  });

  test("charge-then-timeout never answers its first caller, and a repeat meanwhile gets the result", async () => {
    let answered = false;
    const first = postCharge("timeout-1", "pm_card_chargeThenTimeout").finally(() => {
      answered = true;
    });
    const unanswered = expect(first).rejects.toThrow("fetch failed");
    await eventually(async () => (await ledgerOf("idempotency_key=timeout-1")).length === 1);
    const repeat = await postCharge("timeout-1", "pm_card_chargeThenTimeout");
    expect(answered).toBe(false);
    expect(repeat.headers.get("idempotent-replayed")).toBe("true");
    expect(await repeat.json()).toMatchObject({ status: "succeeded", amount_received: 700 });
    await unanswered;
    expect((await ledgerOf("idempotency_key=timeout-1")).map(({ kind }) => kind)).toEqual(["captured"]);
  });

  test("the official client's own retry after charge-then-timeout gets the result of the one charge", async () => {
    const params = { payment_method: "pm_card_chargeThenTimeout", metadata: { saga: "saga_timeout" } };
    const intent = await charge(params);
    expect(intent.status).toBe("requires_capture");
    expect(intent.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect(await stripe.paymentIntents.capture(intent.id)).toMatchObject({ status: "succeeded" });
    expect((await ledgerOf("metadata[saga]=saga_timeout")).map(({ kind }) => kind)).toEqual([
      "authorized",
      "captured",
    ]);
  });

  test("an unknown card is refused and stores nothing", async () => {
    const options = { idempotencyKey: "unknown-card" };
    const refusal = await refusalOf(charge({ payment_method: "pm_unknown" }, options));
    expect(refusal).toMatchObject({ statusCode: 400, param: "payment_method" });
    expect(await charge({}, options)).toMatchObject({ status: "requires_capture" });
  });
});

describe("refunds", () => {
  test("a refund in parts ends when all is given back, and no more is", async () => {
    const intent = await charge({ capture_method: "automatic" });
    const part = await stripe.refunds.create({ payment_intent: intent.id, amount: 300 });
    expect(part).toMatchObject({ amount: 300, status: "succeeded", payment_intent: intent.id });
    const refusal = await refusalOf(stripe.refunds.create({ payment_intent: intent.id, amount: 701 }));
    expect(refusal).toMatchObject({ statusCode: 400, param: "amount" });
    const rest = await stripe.refunds.create({ payment_intent: intent.id });
    expect(rest.amount).toBe(700);
    const again = await refusalOf(stripe.refunds.create({ payment_intent: intent.id, amount: 1 }));
    expect(again.code).toBe("charge_already_refunded");
    expect(await stripe.refunds.retrieve(part.id)).toMatchObject({ amount: 300 });
    const listed = await stripe.refunds.list({ payment_intent: intent.id });
    expect(listed.data.map(({ id }) => id)).toEqual([rest.id, part.id]);
    const entries = await ledgerOf(`payment_intent=${intent.id}&kind=refunded`);
    expect(entries.map(({ amount }) => amount)).toEqual([300, 700]);
  });

  test("what was never captured cannot be refunded", async () => {
    const intent = await charge({});
    expect((await refusalOf(stripe.refunds.create({ payment_intent: intent.id }))).statusCode).toBe(400);
  });
});

describe("idempotency keys", () => {
  test("a repeat gets the same answer and moves money once", async () => {
    const options = { idempotencyKey: "repeat-1" };
    const first = await charge({ metadata: { saga: "saga_repeat" } }, options);
    const second = await charge({ metadata: { saga: "saga_repeat" } }, options);
    expect(second).toEqual(first);
    expect(first.lastResponse.headers["idempotent-replayed"]).toBeUndefined();
    expect(second.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect(await ledgerOf("metadata[saga]=saga_repeat")).toHaveLength(1);
  });

  test("a decline is replayed too", async () => {
    const options = { idempotencyKey: "repeat-declined" };
    const params = { payment_method: "pm_card_chargeDeclined" };
    const first = await refusalOf(charge(params, options));
    const second = await refusalOf(charge(params, options));
    expect(second.payment_intent?.id).toBe(first.payment_intent?.id);
    expect(second).toMatchObject({ statusCode: 402, headers: { "idempotent-replayed": "true" } });
  });

  test("the same key with another body is refused", async () => {
    const options = { idempotencyKey: "other-body" };
    await charge({}, options);
    const refusal = await refusalOf(charge({ amount: 1001 }, options));
    expect(refusal).toMatchObject({ statusCode: 400, type: "StripeIdempotencyError" });
  });

  test("twenty at once with one key make one charge", async () => {
    const options = { idempotencyKey: "at-once", maxNetworkRetries: 10 };
    const params = { payment_method: "pm_card_slow", metadata: { saga: "saga_at_once" } };
    const intents = await Promise.all(Array.from({ length: 20 }, () => charge(params, options)));
    expect(new Set(intents.map(({ id }) => id)).size).toBe(1);
    expect(await ledgerOf("metadata[saga]=saga_at_once")).toHaveLength(1);
  });
});

describe("refusals", () => {
  test("a wrong key is 401, a right one works as Bearer and as Basic", async () => {
    expect((await refusalOf(clientOf(processor, "sk_test_other").paymentIntents.list())).statusCode).toBe(
      401,
    );
    const basic = `Basic ${Buffer.from("sk_test_souk:").toString("base64")}`;
    const answer = await fetch(`${processor.url}/v1/payment_intents`, { headers: { authorization: basic } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("request-id")).toMatch(/^req_/);
  });

  test.each([
    ["a negative amount", { amount: -1 }, "amount"],
    ["an amount that is no whole number", { amount: 1.5 }, "amount"],
    ["an unknown capture method", { capture_method: "later" }, "capture_method"],
    ["an unknown parameter", { colour: "red" }, "colour"],
    ["a currency of two letters", { currency: "eu" }, "currency"],
  ])("%s is refused with the parameter's name", async (_name, wrong, param) => {
    const refusal = await refusalOf(charge(wrong as object));
    expect(refusal).toMatchObject({ statusCode: 400, type: "StripeInvalidRequestError", param });
  });

  test("an unknown intent, refund and address are 404", async () => {
    expect((await refusalOf(stripe.paymentIntents.retrieve("pi_none"))).code).toBe("resource_missing");
    expect((await refusalOf(stripe.paymentIntents.capture("pi_none"))).statusCode).toBe(404);
    expect((await refusalOf(stripe.refunds.retrieve("re_none"))).statusCode).toBe(404);
    expect((await refusalOf(stripe.customers.list())).statusCode).toBe(404);
  });
});

describe("webhooks", () => {
  test("an event is signed so that the official client verifies it, and a tampered one fails", async () => {
    const intent = await charge({ capture_method: "automatic" });
    const { body, signature } = await deliveryOf("payment_intent.succeeded", intent.id);
    const event = stripe.webhooks.constructEvent(body, signature, WEBHOOK_SECRET);
    expect(event.type).toBe("payment_intent.succeeded");
    expect(event.data.object).toMatchObject({ id: intent.id, amount_received: 1000 });
    const tampered = body.replace('"amount":1000', '"amount":9999');
    expect(tampered).not.toBe(body);
    expect(() => stripe.webhooks.constructEvent(tampered, signature, WEBHOOK_SECRET)).toThrow(/signature/);
    expect(() => stripe.webhooks.constructEvent(body, signature, "whsec_other")).toThrow(/signature/);
  });

  test("canceling, declining and refunding are announced", async () => {
    const canceled = await charge({});
    await stripe.paymentIntents.cancel(canceled.id);
    await deliveryOf("payment_intent.canceled", canceled.id);
    const refusal = await refusalOf(charge({ payment_method: "pm_card_chargeDeclined" }));
    await deliveryOf("payment_intent.payment_failed", refusal.payment_intent?.id as string);
    const intent = await charge({ capture_method: "automatic" });
    await stripe.refunds.create({ payment_intent: intent.id, amount: 10 });
    const refunded = JSON.parse((await deliveryOf("charge.refunded", intent.id)).body);
    expect(refunded.data.object).toMatchObject({ object: "charge", amount_refunded: 10, refunded: false });
  });

  test("a target that fails does not hold up the API and gets the event again", async () => {
    inbox.failing = true;
    const intent = await charge({ capture_method: "automatic" });
    await deliveryOf("payment_intent.succeeded", intent.id);
    inbox.failing = false;
    await eventually(() => deliveriesOf("payment_intent.succeeded", intent.id).length >= 2);
  });
});

describe("durability", () => {
  test("SIGKILL loses no answered payment, no refund and no idempotency answer", async () => {
    const own = await mkdtemp(join(tmpdir(), "souk-card-processor-"));
    const first = await startProcessor(own);
    const client = clientOf(first);
    const params = { amount: 1000, currency: "eur", payment_method: "pm_card_visa", confirm: true };
    const intents = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        client.paymentIntents.create({ ...params, metadata: { n } }, { idempotencyKey: `kill-${n}` }),
      ),
    );
    const refund = await client.refunds.create({ payment_intent: intents[7]?.id as string, amount: 250 });
    await first.stop("SIGKILL");
    await writeFile(join(own, "ledger.jsonl"), '{"kind":"captured","payment_int', { flag: "a" });
    const second = await startProcessor(own);
    const after = clientOf(second);
    expect((await readFile(join(own, "ledger.jsonl"), "utf8")).endsWith("}\n")).toBe(true);
    for (const [n, intent] of intents.entries()) {
      expect(await after.paymentIntents.retrieve(intent.id)).toEqual(intent);
      const replayed = await after.paymentIntents.create(
        { ...params, metadata: { n } },
        { idempotencyKey: `kill-${n}` },
      );
      expect(replayed).toEqual(intent);
    }
    expect(await after.refunds.retrieve(refund.id)).toEqual(refund);
    const overRefund = after.refunds.create({ payment_intent: refund.payment_intent as string, amount: 751 });
    expect((await refusalOf(overRefund)).param).toBe("amount");
    const captured = (await ledgerOf("kind=captured", second)).map(({ payment_intent }) => payment_intent);
    expect(captured.toSorted()).toEqual(intents.map(({ id }) => id).toSorted());
    expect(await second.stop()).toBe(0);
    await rm(own, { recursive: true });
  });

  test("charge-then-timeout is replayed even when the processor died in between", async () => {
    const own = await mkdtemp(join(tmpdir(), "souk-card-processor-"));
    const first = await startProcessor(own);
    const unanswered = expect(
      postCharge("kill-timeout", "pm_card_chargeThenTimeout", first),
    ).rejects.toThrow();
    await eventually(async () => (await ledgerOf("kind=captured", first)).length === 1);
    await first.stop("SIGKILL");
    await unanswered;
    const second = await startProcessor(own);
    const repeat = await postCharge("kill-timeout", "pm_card_chargeThenTimeout", second);
    expect(await repeat.json()).toMatchObject({ status: "succeeded", amount_received: 700 });
    expect(await ledgerOf("kind=captured", second)).toHaveLength(1);
    await second.stop();
    await rm(own, { recursive: true });
  });

  test("a taken port is named and leaves the ledger alone", async () => {
    await expect(
      startSandboxProcess("card-processor", { PORT: String(processor.port), DATA_DIR: folder }),
    ).rejects.toThrow(new RegExp(`EADDRINUSE.*${processor.port}`));
    expect(await charge({})).toMatchObject({ status: "requires_capture" });
  });
});

function startProcessor(dataFolder: string): Promise<SandboxProcess> {
  return startSandboxProcess("card-processor", {
    DATA_DIR: dataFolder,
    SLOW_MS: String(SLOW_MS),
    WITHHOLD_MS: String(WITHHOLD_MS),
    WEBHOOK_URL: inbox.url,
    WEBHOOK_SECRET,
  });
}

function clientOf({ port }: SandboxProcess, key = "sk_test_souk"): Stripe {
  return new Stripe(key, { host: "127.0.0.1", port, protocol: "http" });
}

/** Creates and confirms an intent of 10.00 with manual capture, unless told otherwise. */
function charge(
  params: Partial<Stripe.PaymentIntentCreateParams>,
  options?: Stripe.RequestOptions,
): Promise<Stripe.Response<Stripe.PaymentIntent>> {
  return stripe.paymentIntents.create(
    {
      amount: 1000,
      currency: "eur",
      capture_method: "manual",
      payment_method: "pm_card_visa",
      confirm: true,
      ...params,
    },
    options,
  );
}

/** Charges 7.00 with a plain request, so that no client retries. */
function postCharge(key: string, card: string, to = processor): Promise<Response> {
  return fetch(`${to.url}/v1/payment_intents`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_souk", "idempotency-key": key },
    body: new URLSearchParams({ amount: "700", currency: "eur", payment_method: card, confirm: "true" }),
  });
}

async function refusalOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const refusal = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (refusal instanceof Stripe.errors.StripeError) return refusal;
  throw new Error(`expected a refusal, got ${String(refusal)}`);
}

type Entry = { kind: string; amount: number; payment_intent: string };

async function ledgerOf(filter: string, from = processor): Promise<Entry[]> {
  const headers = { authorization: "Bearer sk_test_souk" };
  const answer = await fetch(`${from.url}/sandbox/ledger?${filter}`, { headers });
  const text = await answer.text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

async function kindsOf(intentId: string): Promise<string[]> {
  return (await ledgerOf(`payment_intent=${intentId}`)).map(({ kind }) => kind);
}

async function startInbox(): Promise<Inbox> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    received.push({ body: await readAll(request), signature: String(request.headers["stripe-signature"]) });
    response.statusCode = opened.failing ? 500 : 200;
    response.end();
  });
  const opened: Inbox = { server, url: "", received, failing: false };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`;
  return opened;
}

async function readAll(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(request)).toString();
}

function deliveriesOf(type: string, intentId: string): Received[] {
  return inbox.received.filter(({ body }) => body.includes(`"type":"${type}"`) && body.includes(intentId));
}

async function deliveryOf(type: string, intentId: string): Promise<Received> {
  await eventually(() => deliveriesOf(type, intentId).length > 0);
  return deliveriesOf(type, intentId)[0] as Received;
}

async function eventually(check: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const endsAt = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > endsAt) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
