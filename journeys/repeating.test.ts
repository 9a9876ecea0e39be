import { Client } from "pg";
import { expect, test } from "vitest";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openShop, type Person, purchaseBody, type ShownOrder } from "./shop.ts";

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
