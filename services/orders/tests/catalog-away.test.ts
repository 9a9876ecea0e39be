import { afterAll, beforeAll, expect, test } from "vitest";
import { OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { TestService } from "#kit/testing/testing.ts";
import { aCustomer, aWish, place, plain, startOrders } from "./harness.ts";
import { freshKey, type ShopProcesses, startShopProcesses } from "./shop-processes.ts";

let shop: ShopProcesses;
let service: TestService;

beforeAll(async () => {
  shop = await startShopProcesses(["catalog", "shipping"]);
  service = await startOrders(shop);
});
afterAll(async () => {
  await service?.stop();
  await shop?.stop();
});

const countRows = statement(
  "test-count-all",
  `select (select count(*) from order_events)::int as events, (select count(*) from order_views)::int as views,
     (select count(*) from kit.sagas)::int as sagas, (select count(*) from kit.outbox)::int as announced,
     (select count(*) from kit.idempotency)::int as remembered`,
);

test("without the catalog, what was ordered a moment ago can be ordered again; anything else has to wait", async () => {
  const customer = aCustomer(service);
  const [warm, cold] = await Promise.all([shop.sell({ amountMinor: 99_999_999_999n }), shop.sell()]);
  const before = await place(customer, aWish(warm.productId));
  await shop.kill("catalog");

  const after = await place(customer, aWish(warm.productId));
  expect(after.status).toBe(OrderStatus.PENDING);
  const priced = ({ lines, subtotal, shippingFee, total }: typeof before) =>
    plain({ lines, subtotal, shippingFee, total });
  expect(priced(after)).toEqual(priced(before));

  const rows = await service.db.query(countRows);
  const key = freshKey();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await expect(customer.placeOrder(aWish(cold.productId), key)).rejects.toMatchObject({
      code: 14,
      reason: "DEPENDENCY_UNAVAILABLE",
    });
  }
  expect(await service.db.query(countRows)).toEqual(rows);
  const mixed = {
    ...aWish(warm.productId),
    lines: [warm, cold].map(({ productId }) => ({ productId, quantity: 1 })),
  };
  await expect(place(customer, mixed)).rejects.toMatchObject({ code: 14 });
  expect((await customer.listOrders({})).orders).toHaveLength(2);
});
