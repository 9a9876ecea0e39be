// Every REST route, with a request that succeeds and one that is refused.

import { createHmac } from "node:crypto";
import { gatewayCases } from "./gateway-routes.ts";
import { givingBackCases } from "./giving-back-routes.ts";
import { operatorCases, park, setAside } from "./operator-routes.ts";
import {
  asBuyer,
  asStaff,
  type CaseRequest,
  key,
  ok,
  type RouteCases,
  refused,
  type Scene,
  unknownId,
} from "./route-case.ts";
import { buy, purchaseBody, readOrder, type Shop } from "./shop.ts";

/** Sets the scene: a product, and a customer who has bought one piece of it. */
export async function setScene(shop: Shop): Promise<Scene> {
  const [buyer, goods] = await Promise.all([shop.person(), shop.sell(1_000)]);
  const { orderId } = await buy(shop, buyer, { goods });
  const { paymentId, shipmentId } = await readOrder(shop, buyer, orderId);
  const deadLetterId = await setAside(shop);
  const ids = { orderId, paymentId, shipmentId, deadLetterId };
  return { shop, buyer, staff: shop.staff, goods, ...ids, park: () => park(shop) };
}

/** Sentences on what a table lacks: routes without both cases, and cases of routes that do not exist. */
export function faultsOf(
  routes: readonly { readonly httpMethod: string; readonly template: string }[],
  cases: RouteCases,
): string[] {
  const names = routes.map(({ httpMethod, template }) => `${httpMethod} ${template}`);
  const kinds = ["success", "refusal"] as const;
  const missing = names.flatMap((name) =>
    kinds.filter((kind) => !cases[name]?.[kind]).map((kind) => `${name} has no ${kind} case`),
  );
  const strangers = Object.keys(cases).filter((name) => !names.includes(name));
  return [...missing, ...strangers.map((name) => `there is no route ${name}`)];
}

const price = { currencyCode: "EUR", amountMinor: "100" };
const word = () => crypto.randomUUID().slice(0, 13);

async function newProductId({ shop }: Scene): Promise<string> {
  return (await shop.sell(0)).productId;
}

async function readCategoryId({ shop }: Scene): Promise<string> {
  type Reply = { categories: { categoryId: string }[] };
  const { body } = await shop.rest<Reply>("GET", "/v1/categories");
  return body.categories[0]?.categoryId ?? "";
}

const catalogCases: RouteCases = {
  "GET /v1/categories": {
    success: ok(() => ({ path: "/v1/categories" })),
    refusal: refused(400, "UNKNOWN_QUERY_PARAMETER", () => ({ path: "/v1/categories?color=red" })),
  },
  "POST /v1/categories": {
    success: ok((scene) => asStaff(scene, "/v1/categories", { name: "Rugs", slug: `rugs-${word()}` })),
    refusal: refused(400, "VALIDATION_FAILED", (scene) =>
      asStaff(scene, "/v1/categories", { name: "Rugs", slug: "Not A Slug" }),
    ),
  },
  "GET /v1/products": {
    success: ok(() => ({ path: "/v1/products?page_size=1" })),
    refusal: refused(400, "PAGE_TOKEN_INVALID", () => ({ path: "/v1/products?page_token=made-up" })),
  },
  "GET /v1/products:search": {
    success: ok(() => ({ path: "/v1/products:search?query=lamp" })),
    refusal: refused(400, "VALIDATION_FAILED", () => ({ path: "/v1/products:search" })),
  },
  "GET /v1/products/{product_id}": {
    success: ok(({ goods }) => ({ path: `/v1/products/${goods.productId}` })),
    refusal: refused(404, "PRODUCT_NOT_FOUND", () => ({ path: `/v1/products/product_${unknownId}` })),
  },
  "POST /v1/products": {
    success: ok(async (scene) => {
      const product = { sku: `RUG-${word().toUpperCase()}`, name: "Rug", price };
      return asStaff(scene, "/v1/products", { ...product, categoryId: await readCategoryId(scene) });
    }),
    refusal: refused(409, "SKU_TAKEN", async (scene) => {
      const product = { sku: scene.goods.sku, name: "Rug", price };
      return asStaff(scene, "/v1/products", { ...product, categoryId: await readCategoryId(scene) });
    }),
  },
  "PATCH /v1/products/{product_id}": {
    success: ok(async (scene) =>
      asStaff(scene, `/v1/products/${await newProductId(scene)}`, { name: "Lantern" }),
    ),
    refusal: refused(404, "PRODUCT_NOT_FOUND", (scene) =>
      asStaff(scene, `/v1/products/product_${unknownId}`, { name: "Lantern" }),
    ),
  },
  "POST /v1/products/{product_id}:archive": {
    success: ok(async (scene) => asStaff(scene, `/v1/products/${await newProductId(scene)}:archive`, {})),
    refusal: refused(409, "PRODUCT_CHANGED", (scene) =>
      asStaff(scene, `/v1/products/${scene.goods.productId}:archive`, { expectedVersion: "99" }),
    ),
  },
};

const inventoryCases: RouteCases = {
  "GET /v1/stock/{sku}": {
    success: ok(({ goods, staff }) => ({ path: `/v1/stock/${goods.sku}`, token: staff.token })),
    refusal: refused(403, "SCOPE_MISSING", (scene) => asBuyer(scene, `/v1/stock/${scene.goods.sku}`)),
  },
  "GET /v1/stock": {
    success: ok(({ staff }) => ({ path: "/v1/stock", token: staff.token })),
    refusal: refused(400, "VALIDATION_FAILED", ({ staff }) => ({
      path: "/v1/stock?page_size=101",
      token: staff.token,
    })),
  },
  "POST /v1/stock/{sku}:adjust": {
    success: ok((scene) =>
      asStaff(scene, `/v1/stock/${scene.goods.sku}:adjust`, {
        quantity: 1,
        reason: "MOVEMENT_REASON_RETURNED",
      }),
    ),
    refusal: refused(409, "STOCK_WOULD_BE_NEGATIVE", (scene) =>
      asStaff(scene, `/v1/stock/${scene.goods.sku}:adjust`, {
        quantity: -999_999,
        reason: "MOVEMENT_REASON_DAMAGED",
      }),
    ),
  },
  "GET /v1/stock/{sku}/movements": {
    success: ok(({ goods, staff }) => ({ path: `/v1/stock/${goods.sku}/movements`, token: staff.token })),
    refusal: refused(404, "STOCK_NOT_FOUND", ({ staff }) => ({
      path: "/v1/stock/NEVER-SEEN/movements",
      token: staff.token,
    })),
  },
};

const orderCases: RouteCases = {
  "POST /v1/orders": {
    success: ok(({ buyer, goods }) => {
      return { path: "/v1/orders", token: buyer.token, key: key(), body: purchaseBody({ goods }) };
    }, 202),
    refusal: refused(422, "PRODUCT_NOT_SOLD", ({ buyer, goods }) => {
      const unknown = { ...goods, productId: `product_${unknownId}` };
      return { path: "/v1/orders", token: buyer.token, key: key(), body: purchaseBody({ goods: unknown }) };
    }),
  },
  "GET /v1/orders/{order_id}": {
    success: ok((scene) => asBuyer(scene, `/v1/orders/${scene.orderId}`)),
    refusal: refused(404, "ORDER_NOT_FOUND", (scene) => asBuyer(scene, `/v1/orders/order_${unknownId}`)),
  },
  "GET /v1/orders": {
    success: ok((scene) => asBuyer(scene, "/v1/orders?status=ORDER_STATUS_CONFIRMED")),
    refusal: refused(401, "TOKEN_MISSING", () => ({ path: "/v1/orders" })),
  },
  "GET /v1/orders/{order_id}:watch": {
    success: ok((scene) => asBuyer(scene, `/v1/orders/${scene.orderId}:watch`)),
    refusal: refused(400, "VALIDATION_FAILED", (scene) => asBuyer(scene, "/v1/orders/my-order:watch")),
  },
};

function webhook(secret: string): CaseRequest {
  const body = JSON.stringify({ id: `evt_${word()}`, object: "event", type: "ping", data: { object: {} } });
  const seconds = Math.floor(Date.now() / 1_000);
  const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return {
    path: "/v1/webhooks/card-processor",
    body,
    headers: { "stripe-signature": `t=${seconds},v1=${signature}` },
  };
}

const paymentCases: RouteCases = {
  "GET /v1/payments/{payment_id}": {
    success: ok((scene) => asBuyer(scene, `/v1/payments/${scene.paymentId}`)),
    refusal: refused(404, "PAYMENT_NOT_FOUND", (scene) =>
      asBuyer(scene, `/v1/payments/payment_${unknownId}`),
    ),
  },
  "GET /v1/payments/{payment_id}/ledger": {
    success: ok(({ staff, paymentId }) => ({ path: `/v1/payments/${paymentId}/ledger`, token: staff.token })),
    refusal: refused(403, "SCOPE_MISSING", (scene) =>
      asBuyer(scene, `/v1/payments/${scene.paymentId}/ledger`),
    ),
  },
  "POST /v1/payments/{payment_id}:refund": {
    success: ok((scene) =>
      asStaff(scene, `/v1/payments/${scene.paymentId}:refund`, {
        amount: { currencyCode: "EUR", amountMinor: "1" },
      }),
    ),
    refusal: refused(409, "REFUND_EXCEEDS_CAPTURE", (scene) =>
      asStaff(scene, `/v1/payments/${scene.paymentId}:refund`, {
        amount: { currencyCode: "EUR", amountMinor: "99999999" },
      }),
    ),
  },
  "POST /v1/webhooks/card-processor": {
    success: ok((scene) => webhook(scene.shop.processes.secrets.cardProcessorWebhookSecret)),
    refusal: refused(401, "WEBHOOK_SIGNATURE_INVALID", () => webhook("whsec_guessed")),
  },
};

const shippingCases: RouteCases = {
  "GET /v1/shipping:quote": {
    success: ok(() => ({ path: "/v1/shipping:quote?country_code=DE" })),
    refusal: refused(422, "COUNTRY_NOT_SERVED", () => ({ path: "/v1/shipping:quote?country_code=AQ" })),
  },
  "GET /v1/shipments/{shipment_id}": {
    success: ok((scene) => asBuyer(scene, `/v1/shipments/${scene.shipmentId}`)),
    refusal: refused(404, "SHIPMENT_NOT_FOUND", (scene) =>
      asBuyer(scene, `/v1/shipments/shipment_${unknownId}`),
    ),
  },
  "GET /v1/shipments/{shipment_id}/tracking": {
    success: ok((scene) => asBuyer(scene, `/v1/shipments/${scene.shipmentId}/tracking`)),
    refusal: refused(401, "TOKEN_INVALID", ({ shipmentId }) => ({
      path: `/v1/shipments/${shipmentId}/tracking`,
      token: "made-up",
    })),
  },
};

/** The shop's routes. */
export const routeCases: RouteCases = {
  ...catalogCases,
  ...inventoryCases,
  ...orderCases,
  ...givingBackCases,
  ...paymentCases,
  ...shippingCases,
  ...gatewayCases,
  ...operatorCases,
};
