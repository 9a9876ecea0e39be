// Orders that nobody can read, or nobody can accept.
import type { RestRequest } from "./rest.ts";
import { type Goods, purchaseBody } from "./shop.ts";

/** What it is, its body, and how it is refused: status, reason, field. */
export type BadOrder = readonly [
  name: string,
  body: (goods: Goods) => RestRequest["body"],
  status: number,
  reason: string | RegExp,
  field: string | undefined,
];

/** A purchase whose only line is replaced. */
const withLine = (goods: Goods, line: object) => ({
  ...purchaseBody({ goods }),
  lines: [{ productId: goods.productId, ...line }],
});
const text = (goods: Goods) => JSON.stringify(purchaseBody({ goods }));
/** `[[[…]]]` where a name would stand: nobody has to understand it to refuse it. */
const nested = (depth: number) => `{"paymentMethod":${"[".repeat(depth)}${"]".repeat(depth)}}`;

/** Orders that cannot be read. */
export const unreadableOrders: readonly BadOrder[] = [
  [
    "text for a number",
    (goods) => withLine(goods, { quantity: "many" }),
    400,
    "INVALID_VALUE",
    "lines[0].quantity",
  ],
  [
    "an object for a text",
    (goods) => ({ ...purchaseBody({ goods }), paymentMethod: {} }),
    400,
    "INVALID_VALUE",
    "paymentMethod",
  ],
  [
    "a number for a list",
    (goods) => ({ ...purchaseBody({ goods }), lines: 1 }),
    400,
    "INVALID_VALUE",
    "lines",
  ],
  [
    "a word no enum has",
    (goods) => ({ ...purchaseBody({ goods }), serviceLevel: "FAST" }),
    400,
    "INVALID_VALUE",
    "serviceLevel",
  ],
  [
    "a member nobody knows",
    (goods) => ({ ...purchaseBody({ goods }), coupon: "FREE" }),
    400,
    "UNKNOWN_MEMBER",
    "coupon",
  ],
  [
    "a member nobody knows in a line",
    (goods) => withLine(goods, { quantity: 1, price: 0 }),
    400,
    "UNKNOWN_MEMBER",
    "lines[0].price",
  ],
  [
    "a member given twice",
    (goods) => text(goods).replace("{", '{"paymentMethod":"pm_card_visa",'),
    400,
    "DUPLICATE_MEMBER",
    "paymentMethod",
  ],
  [
    "a quantity of 2^31",
    (goods) => withLine(goods, { quantity: 2 ** 31 }),
    400,
    "INVALID_VALUE",
    "lines[0].quantity",
  ],
  [
    "one and a half pieces",
    (goods) => withLine(goods, { quantity: 1.5 }),
    400,
    "INVALID_VALUE",
    "lines[0].quantity",
  ],
  [
    "a quantity of 1e400",
    (goods) => text(goods).replace('"quantity":1', '"quantity":1e400'),
    400,
    "INVALID_VALUE",
    "lines[0].quantity",
  ],
  ["JSON that breaks off", (goods) => text(goods).slice(0, -2), 400, /JSON/, undefined],
  ["no JSON at all", () => "lines=1", 400, /JSON/, undefined],
  ["a list instead of an object", () => "[]", 400, /./, undefined],
  ["null", () => "null", 400, /./, undefined],
  ["nothing", () => "", 400, /./, undefined],
  ["bytes that are no UTF-8", (goods) => badUtf8(goods), 400, /./, undefined],
  ["nesting 5,000 deep", () => nested(5_000), 400, "JSON_TOO_DEEP", undefined],
  [
    "__proto__",
    (goods) => text(goods).replace("{", '{"__proto__":{"admin":true},'),
    400,
    "UNKNOWN_MEMBER",
    "__proto__",
  ],
];

function badUtf8(goods: Goods) {
  const [before = "", after = ""] = text(goods).split("Berlin");
  return Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xfe]), Buffer.from(after)]);
}

/** Orders that can be read but not accepted. */
export const unacceptableOrders: readonly BadOrder[] = [
  [
    "fewer than no pieces",
    (goods) => withLine(goods, { quantity: -1 }),
    400,
    "VALIDATION_FAILED",
    "lines[0].quantity",
  ],
  ["no pieces", (goods) => withLine(goods, { quantity: 0 }), 400, "VALIDATION_FAILED", "lines[0].quantity"],
  [
    "1,001 pieces",
    (goods) => withLine(goods, { quantity: 1_001 }),
    400,
    "VALIDATION_FAILED",
    "lines[0].quantity",
  ],
  ["no lines", (goods) => ({ ...purchaseBody({ goods }), lines: [] }), 400, "VALIDATION_FAILED", "lines"],
  [
    "51 lines",
    (goods) => ({ ...purchaseBody({ goods }), lines: Array(51).fill(purchaseBody({ goods }).lines[0]) }),
    400,
    "VALIDATION_FAILED",
    "lines",
  ],
  [
    "no address",
    (goods) => ({ ...purchaseBody({ goods }), shippingAddress: undefined }),
    400,
    "VALIDATION_FAILED",
    "shippingAddress",
  ],
  [
    "a country in small letters",
    (goods) => withCountry(goods, "de"),
    400,
    "VALIDATION_FAILED",
    "shippingAddress.countryCode",
  ],
  ["a country nobody ships to", (goods) => withCountry(goods, "AQ"), 422, "COUNTRY_NOT_SERVED", undefined],
  [
    "a card number",
    (goods) => ({ ...purchaseBody({ goods }), paymentMethod: "4242424242424242" }),
    400,
    "VALIDATION_FAILED",
    "paymentMethod",
  ],
  [
    "an id that is none",
    (goods) => withLine(goods, { productId: "lamp", quantity: 1 }),
    400,
    "VALIDATION_FAILED",
    "lines[0].productId",
  ],
  [
    "SQL for an id",
    (goods) => withLine(goods, { productId: "x'; drop table orders; --", quantity: 1 }),
    400,
    "VALIDATION_FAILED",
    "lines[0].productId",
  ],
  [
    "a product that is not sold",
    (goods) => withLine(goods, { productId: "product_01hzy3v8q0e9wb0c1a2d3f4g5h", quantity: 1 }),
    422,
    "PRODUCT_NOT_SOLD",
    undefined,
  ],
  [
    "a name with a NUL",
    (goods) => withName(goods, "Sam\u0000"),
    400,
    "VALIDATION_FAILED",
    "shippingAddress.name",
  ],
];

const withCountry = (goods: Goods, countryCode: string) => {
  const body = purchaseBody({ goods });
  return { ...body, shippingAddress: { ...body.shippingAddress, countryCode } };
};
const withName = (goods: Goods, name: string) => {
  const body = purchaseBody({ goods });
  return { ...body, shippingAddress: { ...body.shippingAddress, name } };
};
