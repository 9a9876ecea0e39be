import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { eventually } from "#kit/testing/testing.ts";
import { fetchToken } from "../tools/client/tokens.ts";
import { findFreePort } from "../tools/stores/free-port.ts";
import { send } from "./rest.ts";
import { buy, followToEnd, openShop, type Person, purchaseBody, readOrder, type ShownOrder } from "./shop.ts";

const shop = openShop();

type Placed = { order: ShownOrder };

const place = (buyer: Person, key: string | undefined, body: object, headers: Record<string, string> = {}) =>
  shop().rest<Placed>("POST", "/v1/orders", {
    token: buyer.token,
    body,
    headers,
    ...(key !== undefined && { key }),
  });

async function ordersOf({ token }: Person): Promise<ShownOrder[]> {
  return (await shop().rest<{ orders: ShownOrder[] }>("GET", "/v1/orders", { token })).body.orders;
}

test("the same key gets the same answer, byte for byte, and one order", async () => {
  const buyer = await shop().person();
  const body = purchaseBody({ goods: await shop().sell(5) });
  const key = crypto.randomUUID();
  const first = await place(buyer, key, body);
  expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([202, null]);
  const second = await place(buyer, key, body);
  expect([second.status, second.headers.get("idempotent-replayed")]).toEqual([202, "true"]);
  expect(second.text).toBe(first.text);
  expect(await ordersOf(buyer)).toHaveLength(1);
});

test("the answer stays the first one, also after the order has gone on", async () => {
  const buyer = await shop().person();
  const body = purchaseBody({ goods: await shop().sell(5) });
  const key = crypto.randomUUID();
  const first = await place(buyer, key, body);
  await eventually(async () => expect((await ordersOf(buyer))[0]?.status).toBe("ORDER_STATUS_CONFIRMED"));
  expect((await place(buyer, key, body)).text).toBe(first.text);
});

test("twenty at once under one key are one order and twenty equal answers", async () => {
  const buyer = await shop().person();
  const body = purchaseBody({ goods: await shop().sell(50) });
  const key = crypto.randomUUID();
  const answers = await Promise.all(Array.from({ length: 20 }, () => place(buyer, key, body)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 202));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  const replayed = answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true");
  expect(replayed).toHaveLength(19);
  expect(await ordersOf(buyer)).toHaveLength(1);
});

/** Holds a key as a first call does that is still running; `release` gives it up without an answer. */
async function holdKey({ sub }: Person, key: string) {
  const client = new Client({ connectionString: shop().processes.databases.orders?.ownerUrl });
  await client.connect();
  const method = `${OrdersService.typeName}/PlaceOrder`;
  await client.query("begin");
  const insert =
    "insert into kit.idempotency (principal, method, key, outcome) values ($1, $2, $3, 'answered')";
  await client.query(insert, [sub, method, key]);
  const isWaitedFor = async () => {
    const { rowCount } = await client.query("select from pg_locks where not granted");
    return (rowCount ?? 0) > 0;
  };
  const release = async () => {
    await client.query("rollback");
    await client.end();
  };
  return { isWaitedFor, release };
}

test("a repeat waits for a first call that is still running", async () => {
  const buyer = await shop().person();
  const body = purchaseBody({ goods: await shop().sell(1) });
  const key = crypto.randomUUID();
  const held = await holdKey(buyer, key);
  const repeat = place(buyer, key, body);
  await eventually(async () => expect(await held.isWaitedFor()).toBe(true));
  await held.release();
  expect((await repeat).status).toBe(202);
});

test.each(["connect-timeout-ms", "grpc-timeout"])(
  "a repeat whose own deadline (%s) comes before the first call's end is told that the key is in use",
  async (header) => {
    const buyer = await shop().person();
    const body = purchaseBody({ goods: await shop().sell(1) });
    const key = crypto.randomUUID();
    const held = await holdKey(buyer, key);
    const early = await place(buyer, key, body, { [header]: header === "grpc-timeout" ? "900m" : "900" });
    expect([early.status, early.body]).toMatchObject([409, { reason: "IDEMPOTENCY_KEY_IN_USE" }]);
    expect(early.headers.get("content-type")).toBe("application/problem+json");
    expect(Number(early.headers.get("retry-after"))).toBeGreaterThan(0);
    await held.release();
    expect((await place(buyer, key, body)).status).toBe(202);
  },
);

test("another body under the same key is refused, and the first answer stands", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(9);
  const key = crypto.randomUUID();
  const first = await place(buyer, key, purchaseBody({ goods }));
  const other = await place(buyer, key, purchaseBody({ goods, quantity: 2 }));
  expect([other.status, other.body]).toMatchObject([422, { reason: "IDEMPOTENCY_KEY_REUSED" }]);
  expect((await place(buyer, key, purchaseBody({ goods }))).text).toBe(first.text);
  expect(await ordersOf(buyer)).toHaveLength(1);
});

test("the same request spelled differently is the same request", async () => {
  const buyer = await shop().person();
  const { lines, ...rest } = purchaseBody({ goods: await shop().sell(9) });
  const key = crypto.randomUUID();
  const first = await place(buyer, key, { lines, ...rest });
  const second = await place(buyer, key, { ...rest, lines });
  expect([second.status, second.text]).toEqual([202, first.text]);
});

test("a refusal is remembered too", async () => {
  const buyer = await shop().person();
  const goods = { productId: "product_01hzy3v8q0e9wb0c1a2d3f4g5h", sku: "NONE", priceMinor: 0 };
  const key = crypto.randomUUID();
  const first = await place(buyer, key, purchaseBody({ goods }));
  const second = await place(buyer, key, purchaseBody({ goods }));
  expect([first.status, first.body]).toMatchObject([422, { reason: "PRODUCT_NOT_SOLD" }]);
  expect([second.status, second.body]).toMatchObject([422, { reason: "PRODUCT_NOT_SOLD" }]);
  expect(await ordersOf(buyer)).toEqual([]);
});

test.each([
  ["none", undefined, "IDEMPOTENCY_KEY_MISSING"],
  ["an empty one", "", "IDEMPOTENCY_KEY_INVALID"],
  ["one of 256 characters", "k".repeat(256), "IDEMPOTENCY_KEY_INVALID"],
  ["one outside ASCII", "schlüssel", "IDEMPOTENCY_KEY_INVALID"],
  ["one with a tab inside", "a\tb", "IDEMPOTENCY_KEY_INVALID"],
])("without a usable key nothing is ordered: %s", async (_, key, reason) => {
  const buyer = await shop().person();
  const answer = await place(buyer, key, purchaseBody({ goods: await shop().sell(1) }));
  expect([answer.status, answer.body]).toMatchObject([400, { reason }]);
  expect(await ordersOf(buyer)).toEqual([]);
});

test("a key of 255 characters is taken", async () => {
  const buyer = await shop().person();
  const answer = await place(buyer, "k".repeat(255), purchaseBody({ goods: await shop().sell(1) }));
  expect(answer.status).toBe(202);
});

test("two people with the same key have an order each", async () => {
  const [one, other] = [await shop().person(), await shop().person()];
  const body = purchaseBody({ goods: await shop().sell(5) });
  const key = crypto.randomUUID();
  const answers = [await place(one, key, body), await place(other, key, body)];
  expect(answers.map(({ status }) => status)).toEqual([202, 202]);
  expect(new Set(answers.map((answer) => answer.body.order.orderId)).size).toBe(2);
  expect(answers[1]?.headers.get("idempotent-replayed")).toBeNull();
});

/** Lets 25 hours pass for a service, after which it has forgotten its answers. */
async function letMemoryPass(service: "orders" | "payments") {
  const client = new Client({ connectionString: shop().processes.databases[service]?.ownerUrl });
  await client.connect();
  await client.query("update kit.clock set offset_ms = offset_ms + 25 * 3600 * 1000");
  await client.query("delete from kit.idempotency where created_at < souk_now() - interval '24 hours'");
  await client.end();
}

test("a key is repeated after 25 hours: the order is the same one, and money moves no second time", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(5);
  const key = crypto.randomUUID();
  const { orderId } = (await place(buyer, key, purchaseBody({ goods }))).body.order;
  await followToEnd(shop(), buyer, orderId);
  const ledger = await shop().processorLedger(orderId);
  await letMemoryPass("orders");
  const late = await place(buyer, key, purchaseBody({ goods }));
  expect([late.status, late.headers.get("idempotent-replayed")]).toEqual([202, null]);
  expect(late.body.order).toMatchObject({ orderId, status: "ORDER_STATUS_CONFIRMED" });
  const other = await place(buyer, key, purchaseBody({ goods, quantity: 2 }));
  expect([other.status, other.body]).toMatchObject([422, { reason: "IDEMPOTENCY_KEY_REUSED" }]);
  expect(await ordersOf(buyer)).toHaveLength(1);
  expect(await shop().processorLedger(orderId)).toEqual(ledger);
});

test("a refund's key is repeated after 25 hours: nothing is paid back a second time", async () => {
  const buyer = await shop().person();
  const { orderId } = await buy(shop(), buyer, { goods: await shop().sell(1) });
  const { paymentId } = await readOrder(shop(), buyer, orderId);
  const request = {
    token: shop().staff.token,
    key: crypto.randomUUID(),
    body: { amount: { currencyCode: "EUR", amountMinor: "100" } },
  };
  const refund = () => shop().rest("POST", `/v1/payments/${paymentId}:refund`, request);
  const first = await refund();
  await letMemoryPass("payments");
  const late = await refund();
  expect([first.status, late.status, late.headers.get("idempotent-replayed")]).toEqual([200, 200, null]);
  const refunded = (await shop().processorLedger(orderId)).filter(({ kind }) => kind === "refunded");
  expect(refunded).toMatchObject([{ amount: 100 }]);
});

test("one key for two payments is one refund", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(2);
  const orders = [await buy(shop(), buyer, { goods }), await buy(shop(), buyer, { goods })];
  const key = crypto.randomUUID();
  const answers: [number, unknown][] = [];
  for (const { orderId } of orders) {
    const { paymentId } = await readOrder(shop(), buyer, orderId);
    const request = { token: shop().staff.token, key, body: {} };
    const { status, body } = await shop().rest("POST", `/v1/payments/${paymentId}:refund`, request);
    answers.push([status, body]);
  }
  expect(answers).toMatchObject([
    [200, {}],
    [422, { reason: "IDEMPOTENCY_KEY_REUSED" }],
  ]);
});

describe("a refusal that says nothing about the request is not remembered", () => {
  test("a key whose request broke a rule, could not be read, or came from nobody is free", async () => {
    const buyer = await shop().person();
    const body = purchaseBody({ goods: await shop().sell(5) });
    const key = crypto.randomUUID();
    const reader = await fetchToken(shop().issuerUrl, { sub: buyer.sub, scope: "orders:read", roles: "" });
    const refusals = [
      await place(buyer, key, { ...body, lines: [] }),
      await place(buyer, key, { ...body, coupon: "FREE" }),
      await place({ ...buyer, token: "made-up" }, key, body),
      await place({ ...buyer, token: reader }, key, body),
    ];
    expect(refusals.map(({ status }) => status)).toEqual([400, 400, 401, 403]);
    expect((await place(buyer, key, body)).status).toBe(202);
    expect(await ordersOf(buyer)).toHaveLength(1);
  });

  test("a key that was met by 503, because a service was away, is free when it is back", async () => {
    const buyer = await shop().person();
    const body = purchaseBody({ goods: await shop().sell(5) });
    const key = crypto.randomUUID();
    const catalog = shop().processes.byName.get("catalog");
    process.kill(catalog?.pid ?? 0, "SIGSTOP");
    const away = await place(buyer, key, body, { "connect-timeout-ms": "1000" }).finally(() =>
      process.kill(catalog?.pid ?? 0, "SIGCONT"),
    );
    expect(away.status).toBeGreaterThanOrEqual(503);
    const back = await eventually(async () => {
      const answer = await place(buyer, key, body);
      expect(answer.status).toBe(202);
      return answer;
    });
    expect(back.headers.get("idempotent-replayed")).toBeNull();
    expect(await ordersOf(buyer)).toHaveLength(1);
  });

  test("a key that met the rate limit is free", async () => {
    const [gateway, metrics] = [await findFreePort(), await findFreePort()];
    const limit = { RATE_LIMIT_PER_SECOND: "1", RATE_LIMIT_BURST: "1" };
    await shop().processes.startAnother("gateway", { gateway, "gateway-metrics": metrics }, limit);
    const { token, ...buyer } = await shop().person();
    const request = { token, key: crypto.randomUUID(), body: purchaseBody({ goods: await shop().sell(5) }) };
    const hasty = () => send<{ order: ShownOrder }>(`http://127.0.0.1:${gateway}/v1/orders`, "POST", request);
    const spent = await send(`http://127.0.0.1:${gateway}/v1/orders`, "GET", { token });
    expect([spent.status, (await hasty()).status]).toEqual([200, 429]);
    const answer = await shop().rest("POST", "/v1/orders", request);
    expect([answer.status, answer.headers.get("idempotent-replayed")]).toEqual([202, null]);
    expect(await ordersOf({ token, ...buyer })).toHaveLength(1);
  });
});
