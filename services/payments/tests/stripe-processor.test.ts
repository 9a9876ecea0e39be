import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { newId } from "#kit/ids/ids.ts";
import { deadlineIn } from "#kit/time/time.ts";
import type { CardProcessor } from "../card-processor.ts";
import { apiVersion, createStripeProcessor } from "../stripe/stripe-processor.ts";
import { apiKey, type CardProcessorSandbox, startCardProcessor } from "./sandbox.ts";

let sandbox: CardProcessorSandbox;
let lean: CardProcessor;
let official: Stripe;
const timeoutMs = 5_000;

beforeAll(async () => {
  sandbox = await startCardProcessor({ WITHHOLD_MS: "60000", SLOW_MS: "300" });
  lean = createStripeProcessor({ url: sandbox.url, key: new Secret(apiKey), timeoutMs });
  official = new Stripe(apiKey, {
    host: "127.0.0.1",
    port: sandbox.port,
    protocol: "http",
    maxNetworkRetries: 0,
  });
});

afterAll(async () => {
  lean?.close();
  await sandbox?.stop();
});

const soon = () => deadlineIn(timeoutMs);
const newKey = () => `${newId("saga")}:authorize`;

const anAuthorization = (paymentMethod = "pm_card_visa", amountMinor = 1_999n) => ({
  key: newKey(),
  orderId: newId("order"),
  amount: { currencyCode: "EUR", amountMinor },
  paymentMethod,
});

/** The same authorization through the official package, in the words of the port. */
async function authorizeOfficially({
  key,
  orderId,
  amount,
  paymentMethod,
}: ReturnType<typeof anAuthorization>) {
  try {
    const intent = await official.paymentIntents.create(
      {
        amount: Number(amount.amountMinor),
        currency: amount.currencyCode.toLowerCase(),
        capture_method: "manual",
        confirm: true,
        payment_method: paymentMethod,
        automatic_payment_methods: { enabled: true, allow_redirects: "never" },
        error_on_requires_action: true,
        metadata: { command: key, order_id: orderId },
      },
      { idempotencyKey: key },
    );
    return { reference: intent.id, status: intent.status };
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    return { reference: error.payment_intent?.id, status: error.decline_code ?? error.code };
  }
}

const wordOfStripe: Record<string, string> = {
  held: "requires_capture",
  CARD_DECLINED: "generic_decline",
  INSUFFICIENT_FUNDS: "insufficient_funds",
  PAYMENT_METHOD_INVALID: "resource_missing",
  PROCESSOR_REFUSED: "parameter_invalid_integer",
};

describe("the lean client and the official package", () => {
  test.each([
    ["a good card", "pm_card_visa", 1_999n, "held"],
    ["a declined card", "pm_card_chargeDeclined", 1_999n, "CARD_DECLINED"],
    ["a card without funds", "pm_card_chargeDeclinedInsufficientFunds", 1_999n, "INSUFFICIENT_FUNDS"],
    ["an unknown card", "pm_card_unheard_of", 1_999n, "PAYMENT_METHOD_INVALID"],
    ["an amount the processor does not take", "pm_card_visa", 100_000_000_000n, "PROCESSOR_REFUSED"],
    ["a slow card", "pm_card_slow", 1_999n, "held"],
  ])(
    "learn the same of %s, and each other's requests under one key are one charge",
    async (_what, card, amount, learnt) => {
      const leanFirst = anAuthorization(card, amount);
      const truth = await lean.authorize(leanFirst, soon());
      expect(truth.declineReason || truth.standing).toBe(learnt);
      const repeated = await authorizeOfficially(leanFirst);
      expect(repeated).toEqual({ reference: truth.reference, status: wordOfStripe[learnt] });

      const officialFirst = anAuthorization(card, amount);
      const first = await authorizeOfficially(officialFirst);
      expect(first.status).toBe(wordOfStripe[learnt]);
      expect(await lean.authorize(officialFirst, soon())).toEqual({ ...truth, reference: first.reference });
      const entries = await sandbox.ledger(`metadata[order_id]=${officialFirst.orderId}`);
      expect(entries.length).toBe(first.reference === undefined ? 0 : 1);
    },
  );

  test("capture, repeat and refund to the same state", async () => {
    const references: string[] = [];
    for (const through of ["lean", "official"] as const) {
      const { reference = "" } = await lean.authorize(anAuthorization(), soon());
      references.push(reference);
      const [captureKey, refundKey] = [newKey(), newKey()];
      if (through === "lean") {
        const taken = { truth: { reference, standing: "taken", declineReason: "" }, refusedFor: undefined };
        expect(await lean.capture({ key: captureKey, reference }, soon())).toEqual(taken);
        expect(await lean.capture({ key: captureKey, reference }, soon())).toEqual(taken);
        expect(await lean.capture({ key: newKey(), reference }, soon())).toEqual(taken);
        expect(await lean.refund({ key: refundKey, reference, amountMinor: 999n }, soon())).toBe("paid back");
        expect(await lean.refund({ key: refundKey, reference, amountMinor: 999n }, soon())).toBe("paid back");
        expect(await lean.refund({ key: newKey(), reference, amountMinor: 1_001n }, soon())).toBe("refused");
      } else {
        const idempotencyKey = captureKey;
        await official.paymentIntents.capture(reference, {}, { idempotencyKey });
        await official.paymentIntents.capture(reference, {}, { idempotencyKey });
        await official.refunds.create(
          { payment_intent: reference, amount: 999 },
          { idempotencyKey: refundKey },
        );
      }
    }
    const [byLean, byOfficial] = await Promise.all(
      references.map((id) => official.paymentIntents.retrieve(id)),
    );
    const comparable = ({ status, amount_received, amount_capturable }: Stripe.PaymentIntent) => ({
      status,
      amount_received,
      amount_capturable,
    });
    expect(comparable(byLean as Stripe.PaymentIntent)).toEqual(
      comparable(byOfficial as Stripe.PaymentIntent),
    );
    const [leanRefunds, officialRefunds] = await Promise.all(
      references.map(async (payment_intent) =>
        (await official.refunds.list({ payment_intent })).data.map((r) => r.amount),
      ),
    );
    expect(leanRefunds).toEqual([999]);
    expect(officialRefunds).toEqual([999]);
  });

  test("speak the same version of the API", async () => {
    const { lastResponse } = await official.paymentIntents.list({ limit: 1 });
    expect(lastResponse.apiVersion).toBe(apiVersion);
  });

  test("agree on what was released", async () => {
    const { reference = "" } = await lean.authorize(anAuthorization(), soon());
    const released = { reference, standing: "released", declineReason: "" };
    expect(await lean.void({ key: newKey(), reference }, soon())).toEqual(released);
    expect(await lean.void({ key: newKey(), reference }, soon())).toEqual(released);
    expect((await official.paymentIntents.retrieve(reference)).status).toBe("canceled");
    const { truth } = await lean.capture({ key: newKey(), reference }, soon());
    expect(truth.standing).toBe("released");
  });
});

test("what was taken cannot be released, and the client says that it is taken", async () => {
  const { reference = "" } = await lean.authorize(anAuthorization(), soon());
  await lean.capture({ key: newKey(), reference }, soon());
  expect(await lean.void({ key: newKey(), reference }, soon())).toMatchObject({ standing: "taken" });
});

test("a capture the bank refuses leaves the amount held", async () => {
  const { reference = "" } = await lean.authorize(anAuthorization("pm_card_captureDeclined"), soon());
  expect(await lean.capture({ key: newKey(), reference }, soon())).toEqual({
    truth: { reference, standing: "held", declineReason: "" },
    refusedFor: "CARD_DECLINED",
  });
});

test("a key that went with another request is told apart from a declined card", async () => {
  const first = anAuthorization();
  await lean.authorize(first, soon());
  const other = { ...first, amount: { currencyCode: "EUR", amountMinor: 1n } };
  await expect(lean.authorize(other, soon())).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
});

test("a payment is found by its authorization's key, and one that never arrived is not", async () => {
  const authorization = { ...anAuthorization(), key: `it's a \\key ${newKey()}` };
  const truth = await lean.authorize(authorization, soon());
  expect(await lean.find(newKey(), soon())).toBeUndefined();
  const plain = anAuthorization();
  const found = await lean.authorize(plain, soon());
  expect(await lean.find(plain.key, soon())).toEqual(found);
  expect(truth.standing).toBe("held");
});

test("a refund is found by its key, and one that never arrived is not", async () => {
  const { reference = "" } = await lean.authorize(anAuthorization(), soon());
  await lean.capture({ key: newKey(), reference }, soon());
  await lean.refund({ key: "refund_1", reference, amountMinor: 1n }, soon());
  expect(await lean.findRefund({ key: "refund_1", reference }, soon())).toBe(true);
  expect(await lean.findRefund({ key: "refund_2", reference }, soon())).toBe(false);
});

describe("the processor's books", () => {
  test("are listed page by page as the official package lists them, within a time", async () => {
    const started = Date.now();
    const keys = Array.from({ length: 27 }, newKey);
    for (const key of keys) await lean.authorize({ ...anAuthorization(), key }, soon());
    const from = new Date(started);
    const pages = await Array.fromAsync(lean.list({ from, to: undefined }, soon()));
    expect(pages.length).toBeGreaterThanOrEqual(2);
    const created = { gte: Math.floor(started / 1_000) };
    const listed = await official.paymentIntents.list({ created }).autoPagingToArray({ limit: 1_000 });
    expect(pages.flat().map(({ reference }) => reference)).toEqual(listed.map(({ id }) => id));
    const newest = pages.flat().slice(0, keys.length);
    expect(newest.map(({ key }) => key)).toEqual(keys.toReversed());
    const long = new Date(started - 60_000);
    expect((await Array.fromAsync(lean.list({ from: undefined, to: long }, soon()))).flat()).toEqual([]);
  });

  test("tell what is held, taken, paid back, released and declined", async () => {
    const references: string[] = [];
    for (const paymentMethod of [...Array(3).fill("pm_card_visa"), "pm_card_chargeDeclined"]) {
      const { reference = "" } = await lean.authorize(anAuthorization(paymentMethod), soon());
      references.push(reference);
    }
    const [, taken = "", released = ""] = references;
    await official.paymentIntents.capture(taken, { amount_to_capture: 1_500 });
    await official.refunds.create({ payment_intent: taken, amount: 99 });
    await official.paymentIntents.cancel(released);
    const records = await Promise.all(
      references.map((reference) => lean.look({ reference, key: undefined }, soon())),
    );
    expect(
      records.map((record) => [record?.standing, record?.amount.amountMinor, record?.refundedMinor]),
    ).toEqual([
      ["held", 1_999n, 0n],
      ["taken", 1_500n, 99n],
      ["released", 1_999n, 0n],
      ["declined", 1_999n, 0n],
    ]);
    const [listed] = await Array.fromAsync(lean.list({ from: undefined, to: undefined }, soon()));
    expect(listed?.slice(0, 4).toReversed()).toEqual(records);
  });

  test("are looked into by key where no reference is known; what is not there is not found", async () => {
    const authorization = anAuthorization();
    const { reference } = await lean.authorize(authorization, soon());
    const found = await lean.look({ key: authorization.key, reference: undefined }, soon());
    expect(found).toMatchObject({ reference, key: authorization.key, standing: "held" });
    expect(await lean.look({ key: newKey(), reference: undefined }, soon())).toBeUndefined();
    expect(await lean.look({ key: authorization.key, reference: "pi_none" }, soon())).toBeUndefined();
  });
});

describe("an unknown outcome is a retryable error", () => {
  const unknown = expect.objectContaining({ reason: "DEPENDENCY_UNAVAILABLE" });

  test("when the answer does not come in the call's time, and a repeat finds the one charge that was made", async () => {
    const authorization = anAuthorization("pm_card_chargeThenTimeout");
    await expect(lean.authorize(authorization, deadlineIn(150))).rejects.toEqual(unknown);
    const truth = await lean.authorize(authorization, soon());
    expect(truth.standing).toBe("held");
    expect(await sandbox.ledger(`metadata[order_id]=${authorization.orderId}`)).toHaveLength(1);
  });

  test("when the key is still under way", async () => {
    const authorization = anAuthorization("pm_card_slow");
    const first = lean.authorize(authorization, soon());
    await expect(lean.authorize(authorization, soon())).rejects.toMatchObject({
      reason: "IDEMPOTENCY_KEY_IN_USE",
    });
    expect((await first).standing).toBe("held");
  });

  test("when the API key is refused", async () => {
    const stranger = createStripeProcessor({ url: sandbox.url, key: new Secret("sk_other"), timeoutMs });
    await expect(stranger.authorize(anAuthorization(), soon())).rejects.toEqual(unknown);
    stranger.close();
  });

  test.each([
    ["nobody listens", undefined, undefined],
    ["the processor answers with a fault of its own", 500, "{}"],
    ["the answer is no JSON", 200, "<html>"],
    ["the answer is no payment", 200, "{}"],
    ["the processor has not decided", 200, `{"id":"pi_1","status":"processing","amount":1,"currency":"eur"}`],
    ["the answer never ends", 200, " ".repeat(300_000)],
  ])("when %s", async (_what, status, body) => {
    const server = await listen(status ?? 200, body ?? "");
    const { port } = server.address() as AddressInfo;
    if (status === undefined) await new Promise((resolve) => server.close(resolve));
    const broken = createStripeProcessor({
      url: `http://127.0.0.1:${port}`,
      key: new Secret(apiKey),
      timeoutMs,
    });
    await expect(broken.authorize(anAuthorization(), soon())).rejects.toEqual(unknown);
    broken.close();
    server.closeAllConnections();
    server.close();
  });
});

test("an idle connection that the processor closed is replaced without a word", async () => {
  const server = await listen(200, `{"id":"pi_1","status":"requires_capture","amount":1,"currency":"eur"}`);
  server.keepAliveTimeout = 0;
  let requests = 0;
  // The second request on a connection is cut off, as when the server closes it while the request travels.
  server.on("connection", (socket) => {
    let onThis = 0;
    socket.on("data", () => {
      onThis += 1;
      if (onThis > 1) socket.resetAndDestroy();
    });
  });
  server.on("request", () => {
    requests += 1;
  });
  const { port } = server.address() as AddressInfo;
  const processor = createStripeProcessor({
    url: `http://127.0.0.1:${port}`,
    key: new Secret(apiKey),
    timeoutMs,
  });
  await processor.authorize(anAuthorization(), soon());
  expect(await processor.authorize(anAuthorization(), soon())).toMatchObject({ standing: "held" });
  expect(requests).toBeGreaterThanOrEqual(2);
  processor.close();
  server.closeAllConnections();
  server.close();
});

async function listen(status: number, body: string): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(status).end(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
