import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ProductSchema } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { OrderPart } from "#gen/souk/gateway/v1/gateway_pb.ts";
import { OrderSchema } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentSchema } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShipmentSchema } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { type PartReaders, readParts } from "./order-details.ts";

const lines = ["lamp", "rug", "lamp"].map((productId) => ({ productId }));
const anOrder = (over = {}) =>
  create(OrderSchema, { lines, paymentId: "payment_1", shipmentId: "shipment_1", ...over });

const readers: PartReaders = {
  product: (productId) => Promise.resolve(create(ProductSchema, { productId })),
  payment: (paymentId) => Promise.resolve(create(PaymentSchema, { paymentId })),
  shipment: (shipmentId) => Promise.resolve(create(ShipmentSchema, { shipmentId })),
};

const away = () =>
  Promise.reject(serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "It is away."));

test("an order's parts are all there, each product once and in the order of the lines", async () => {
  const { products, payment, shipment, missingParts } = await readParts(anOrder(), readers);
  expect(products.map(({ productId }) => productId)).toEqual(["lamp", "rug"]);
  expect([payment?.paymentId, shipment?.shipmentId]).toEqual(["payment_1", "shipment_1"]);
  expect(missingParts).toEqual([]);
});

test("they are asked for side by side", async () => {
  const asked: string[] = [];
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const slowly = (id: string) => {
    asked.push(id);
    if (asked.length === 4) resolve();
    return go.then(() => undefined);
  };
  await readParts(anOrder(), { product: slowly, payment: slowly, shipment: slowly });
  expect(asked.sort()).toEqual(["lamp", "payment_1", "rug", "shipment_1"]);
});

test("a part that cannot be had is named with its reason, and the others are there", async () => {
  const product = (id: string) => (id === "rug" ? away() : readers.product(id));
  const found = await readParts(anOrder(), { ...readers, product, payment: away });
  expect(found.products.map(({ productId }) => productId)).toEqual(["lamp"]);
  expect(found.shipment?.shipmentId).toBe("shipment_1");
  expect(found.payment).toBeUndefined();
  const why = { reason: "DEPENDENCY_UNAVAILABLE", domain: "errors.souk" };
  expect(found.missingParts).toEqual([
    { part: OrderPart.PRODUCT, id: "rug", ...why },
    { part: OrderPart.PAYMENT, id: "payment_1", ...why },
  ]);
});

test("a part that fails without a reason of the contract is named without what it said", async () => {
  const payment = () => Promise.reject(new Error("password is hunter2"));
  const { missingParts } = await readParts(anOrder(), { ...readers, payment });
  expect(missingParts).toEqual([
    { part: OrderPart.PAYMENT, id: "payment_1", reason: "INTERNAL", domain: "errors.souk" },
  ]);
});

test("what there is not yet is neither asked for nor missing", async () => {
  const early = anOrder({ paymentId: "", shipmentId: "" });
  const { payment, shipment, missingParts } = await readParts(early, {
    ...readers,
    payment: away,
    shipment: away,
  });
  expect([payment, shipment, missingParts]).toEqual([undefined, undefined, []]);
});
