import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { checkoutSaga } from "./checkout-saga.ts";
import { createClients } from "./clients.ts";
import { readConfig } from "./config.ts";
import { orderConsumers } from "./consumers.ts";
import { sagaProgress } from "./messages.ts";
import { createOrderWatch } from "./order-watch.ts";
import { watchElsewhere } from "./order-watch-job.ts";
import { createPricing } from "./pricing.ts";
import { orderReconciliations } from "./reconciliations.ts";
import { ordersRpc } from "./rpc.ts";

/** Orders: accepts orders and drives each through checkout to its end. */
export const orders = defineService({
  name: "orders",
  migrations: new URL("./migrations/", import.meta.url),
  readConfig,
  wire({ db, client, cache, startSaga, findSaga, findSagas }, config) {
    const clients = createClients(client, config);
    const pricing = createPricing({ ...clients, cache });
    const watch = createOrderWatch();
    const checkout = checkoutSaga(clients, (saga) => watch.publish(sagaProgress(saga)));
    return {
      rpcs: [rpc(OrdersService, ordersRpc({ db, pricing, watch, checkout, startSaga, findSaga, findSagas }))],
      consumers: orderConsumers(pricing),
      sagas: [checkout],
      reconciliations: orderReconciliations({ db, ...clients }),
      jobs: [watchElsewhere(db, watch)],
    };
  },
});

if (import.meta.main) await run(orders);
