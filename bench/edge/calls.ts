import { create, type DescMethod, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  GetRefundRequestSchema,
  GetRefundResponseSchema,
  ListOrdersRequestSchema,
  ListOrdersResponseSchema,
  type OrderSchema,
  OrderStatus,
  OrdersService,
  PlaceOrderRequestSchema,
  PlaceOrderResponseSchema,
  RefundStatus,
} from "#gen/souk/orders/v1/orders_pb.ts";

/** One call of the shop's contract, in every form in which a gateway gets or gives it. */
export interface BenchCall {
  readonly title: string;
  readonly method: DescMethod;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly httpMethod: string;
  readonly target: string;
  /** The request over REST; empty for GET. */
  readonly body: Buffer;
  readonly requestJson: Buffer;
  readonly requestBytes: Uint8Array;
  readonly answerBytes: Uint8Array;
  /** The answer as REST shows it. */
  readonly answerJson: Buffer;
}

const orderId = "order_01jd7f3v8qe9wv0c1a2d3f4g5h";
const refundId = "refund_01jd7f3v8qe9wv0c1a2d3f4g5h";
const money = (amountMinor: bigint) => ({ currencyCode: "EUR", amountMinor });
const address = {
  name: "Ada Lovelace",
  line1: "St. James's Square 12",
  city: "London",
  postalCode: "SW1Y 4JH",
  countryCode: "GB",
};

const productId = (index: number) => `product_01jd7f3v8qe9wv0c1a2d3f4g${String(index).padStart(2, "0")}`;

const line = (index: number) => ({
  productId: productId(index),
  sku: `SKU-${1_000 + index}`,
  name: "Teapot, blue glaze",
  quantity: 1 + (index % 3),
  unitPrice: money(1_999n),
});

const order = (lines: number): MessageInitShape<typeof OrderSchema> => ({
  orderId,
  customerId: "user_01j2mdhkv3fh3r8q5w9x7y4zab",
  status: OrderStatus.PENDING,
  lines: Array.from({ length: lines }, (_, index) => line(index)),
  subtotal: money(11_994n),
  shippingFee: money(490n),
  total: money(12_484n),
  shippingAddress: address,
  version: 1n,
  placedAt: { seconds: 1_795_000_000n, nanos: 123_000_000 },
  updatedAt: { seconds: 1_795_000_000n, nanos: 123_000_000 },
});

const placing = create(PlaceOrderRequestSchema, {
  lines: Array.from({ length: 21 }, (_, index) => ({
    productId: productId(index),
    quantity: 1 + (index % 3),
  })),
  shippingAddress: address,
  paymentMethod: "pm_card_visa",
});
const placed = create(PlaceOrderResponseSchema, { order: order(4) });
const refund = create(GetRefundResponseSchema, {
  refund: {
    refundId,
    orderId,
    status: RefundStatus.COMPLETED,
    lines: [{ productId: productId(1), sku: "SKU-1001", quantity: 1 }],
    amount: money(1_999n),
    note: "Broken on arrival",
  },
});
const listed = create(ListOrdersResponseSchema, {
  orders: Array.from({ length: 9 }, () => order(6)),
  nextPageToken: "b3JkZXJfMDFqZDdmM3Y4cWU5d3YwYzFhMmQzZjRnNWg",
});

/** The three calls: an order of 1.6 kB answered with one, one thing by its id, a list of 17 kB. */
export const calls: readonly BenchCall[] = [
  {
    ...ofMethod(OrdersService.method.placeOrder, "POST", "POST /v1/orders", "/v1/orders"),
    body: jsonOf(PlaceOrderRequestSchema, placing, false),
    requestJson: jsonOf(PlaceOrderRequestSchema, placing, false),
    requestBytes: toBinary(PlaceOrderRequestSchema, placing),
    answerBytes: toBinary(PlaceOrderResponseSchema, placed),
    answerJson: jsonOf(PlaceOrderResponseSchema, placed, true),
  },
  {
    ...ofMethod(
      OrdersService.method.getRefund,
      "GET",
      "GET …/refunds/{id}",
      `/v1/orders/${orderId}/refunds/${refundId}`,
    ),
    body: Buffer.alloc(0),
    requestJson: Buffer.from(JSON.stringify({ orderId, refundId })),
    requestBytes: toBinary(GetRefundRequestSchema, create(GetRefundRequestSchema, { orderId, refundId })),
    answerBytes: toBinary(GetRefundResponseSchema, refund),
    answerJson: jsonOf(GetRefundResponseSchema, refund, true),
  },
  {
    ...ofMethod(OrdersService.method.listOrders, "GET", "GET /v1/orders", "/v1/orders?page_size=9"),
    body: Buffer.alloc(0),
    requestJson: Buffer.from(JSON.stringify({ pageSize: 9 })),
    requestBytes: toBinary(ListOrdersRequestSchema, create(ListOrdersRequestSchema, { pageSize: 9 })),
    answerBytes: toBinary(ListOrdersResponseSchema, listed),
    answerJson: jsonOf(ListOrdersResponseSchema, listed, true),
  },
];

function ofMethod(method: DescMethod, httpMethod: string, title: string, target: string) {
  return { title, method, httpMethod, target, path: `/${method.parent.typeName}/${method.name}` };
}

function jsonOf(
  schema: Parameters<typeof toJsonString>[0],
  message: Parameters<typeof toJsonString>[1],
  alwaysEmitImplicit: boolean,
): Buffer {
  return Buffer.from(toJsonString(schema, message, { alwaysEmitImplicit }));
}

/** A gateway's connections are idle while the others have their turns. */
export const keptOpenMs = 65_000;

/** Where the floor sends a call's bytes. */
export function floorPath({ path }: Pick<BenchCall, "path">): string {
  return `${path}/floor`;
}
