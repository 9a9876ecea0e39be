import { expect, test } from "vitest";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { startForTest } from "#kit/testing/testing.ts";
import { orders } from "../main.ts";

test("starts", async () => {
  await using service = await startForTest(orders, {
    env: {
      ENVIRONMENT: "production",
      CATALOG_URL: "http://127.0.0.1:1",
      INVENTORY_URL: "http://127.0.0.1:1",
      PAYMENTS_URL: "http://127.0.0.1:1",
      SHIPPING_URL: "http://127.0.0.1:1",
    },
  });
  const client = service.client(OrdersService, { scope: "orders:read orders:create" });
  expect(await client.listOrders({})).toMatchObject({ orders: [] });
});
