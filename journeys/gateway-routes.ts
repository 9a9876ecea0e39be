// The routes that the gateway itself answers.

import { asBuyer, ok, type RouteCases, refused, unknownId } from "./route-case.ts";

/** Cases of the gateway's own routes. */
export const gatewayCases: RouteCases = {
  "GET /v1/orders/{order_id}/details": {
    success: ok((scene) => asBuyer(scene, `/v1/orders/${scene.orderId}/details`)),
    refusal: refused(404, "ORDER_NOT_FOUND", async ({ shop, orderId }) => ({
      path: `/v1/orders/${orderId}/details`,
      token: (await shop.person()).token,
    })),
  },
  "POST /v1/orders/{order_id}:watchTicket": {
    success: ok((scene) => ({ ...asBuyer(scene, `/v1/orders/${scene.orderId}:watchTicket`), body: {} })),
    refusal: refused(404, "ORDER_NOT_FOUND", (scene) => ({
      ...asBuyer(scene, `/v1/orders/order_${unknownId}:watchTicket`),
      body: {},
    })),
  },
};
