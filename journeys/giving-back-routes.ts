// The routes by which orders are cancelled, returned and refunded.

import { asBuyer, asStaff, key, ok, type RouteCases, refused, type Scene, unknownId } from "./route-case.ts";
import { buy } from "./shop.ts";

/** An order that nobody else does anything with. */
async function newOrder({ shop, buyer, goods }: Scene): Promise<string> {
  return (await buy(shop, buyer, { goods })).orderId;
}

const oneOf = ({ goods }: Scene) => ({ lines: [{ productId: goods.productId, quantity: 1 }] });
const asBuyerWith = ({ buyer }: Scene, path: string, body: object) => ({
  path,
  body,
  token: buyer.token,
  key: key(),
});

/** An order with a return and a refund of one cent, by their ids. */
async function givenBack(scene: Scene) {
  const path = `/v1/orders/${await newOrder(scene)}`;
  const cent = { amount: { currencyCode: "EUR", amountMinor: "1" } };
  type Reply = { refund: { refundId: string }; return: { returnId: string } };
  const [refunded, returned] = [
    await scene.shop.rest<Reply>("POST", `${path}/refunds`, asStaff(scene, path, cent)),
    await scene.shop.rest<Reply>("POST", `${path}/returns`, asBuyerWith(scene, path, oneOf(scene))),
  ];
  return { path, refundId: refunded.body.refund.refundId, returnId: returned.body.return.returnId };
}

/** Cases of cancelling, returns and refunds. */
export const givingBackCases: RouteCases = {
  "POST /v1/orders/{order_id}:cancel": {
    success: ok(async (scene) => asBuyerWith(scene, `/v1/orders/${await newOrder(scene)}:cancel`, {}), 202),
    refusal: refused(404, "ORDER_NOT_FOUND", (scene) =>
      asBuyerWith(scene, `/v1/orders/order_${unknownId}:cancel`, {}),
    ),
  },
  "POST /v1/orders/{order_id}/returns": {
    success: ok(
      async (scene) => asBuyerWith(scene, `/v1/orders/${await newOrder(scene)}/returns`, oneOf(scene)),
      202,
    ),
    refusal: refused(409, "QUANTITY_EXCEEDS_ORDER", async (scene) => {
      const lines = [{ productId: scene.goods.productId, quantity: 2 }];
      return asBuyerWith(scene, `/v1/orders/${await newOrder(scene)}/returns`, { lines });
    }),
  },
  "GET /v1/orders/{order_id}/returns": {
    success: ok(async (scene) => asBuyer(scene, `${(await givenBack(scene)).path}/returns`)),
    refusal: refused(404, "ORDER_NOT_FOUND", (scene) =>
      asBuyer(scene, `/v1/orders/order_${unknownId}/returns`),
    ),
  },
  "GET /v1/orders/{order_id}/returns/{return_id}": {
    success: ok(async (scene) => {
      const { path, returnId } = await givenBack(scene);
      return asBuyer(scene, `${path}/returns/${returnId}`);
    }),
    refusal: refused(404, "RETURN_NOT_FOUND", (scene) =>
      asBuyer(scene, `/v1/orders/${scene.orderId}/returns/return_${unknownId}`),
    ),
  },
  "POST /v1/orders/{order_id}/refunds": {
    success: ok(
      async (scene) => asStaff(scene, `/v1/orders/${await newOrder(scene)}/refunds`, oneOf(scene)),
      202,
    ),
    refusal: refused(403, "SCOPE_MISSING", (scene) =>
      asBuyerWith(scene, `/v1/orders/${scene.orderId}/refunds`, oneOf(scene)),
    ),
  },
  "GET /v1/orders/{order_id}/refunds": {
    success: ok(async (scene) => asBuyer(scene, `${(await givenBack(scene)).path}/refunds`)),
    refusal: refused(401, "TOKEN_MISSING", ({ orderId }) => ({ path: `/v1/orders/${orderId}/refunds` })),
  },
  "GET /v1/orders/{order_id}/refunds/{refund_id}": {
    success: ok(async (scene) => {
      const { path, refundId } = await givenBack(scene);
      return asBuyer(scene, `${path}/refunds/${refundId}`);
    }),
    refusal: refused(404, "REFUND_NOT_FOUND", (scene) =>
      asBuyer(scene, `/v1/orders/${scene.orderId}/refunds/refund_${unknownId}`),
    ),
  },
};
