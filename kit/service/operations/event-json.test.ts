import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { OrderSchema } from "#gen/souk/orders/v1/orders_pb.ts";
import { eventJson } from "./event-json.ts";

test("an event is shown without what its contract calls personal or secret, however deep", () => {
  const order = create(OrderSchema, {
    orderId: "order_1",
    shippingAddress: { name: "Ada Lovelace", line1: "Zossener Straße 1", city: "Berlin", countryCode: "DE" },
    lines: [{ sku: "LAMP", quantity: 2 }],
  });
  const json = eventJson(OrderSchema, toBinary(OrderSchema, order));
  expect(JSON.parse(json)).toMatchObject({ orderId: "order_1", lines: [{ sku: "LAMP", quantity: 2 }] });
  expect(json).not.toMatch(/Ada|Zossener/);
});

test("bytes that are no such message are shown as nothing", () => {
  expect(eventJson(OrderSchema, Buffer.from([255, 255, 255]))).toBe("");
});
