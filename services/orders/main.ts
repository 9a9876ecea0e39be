import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { createClients } from "./clients.ts";
import { readConfig } from "./config.ts";
import { orderConsumers } from "./consumers.ts";
import { createOrderSagas } from "./order-sagas.ts";
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
  wire({ db, client, cache, startSaga, findSaga, findSagas, turnSagaBack }, config) {
    const clients = createClients(client, config);
    const { shipping } = clients;
    const pricing = createPricing({ ...clients, cache });
    const watch = createOrderWatch();
    const sagas = createOrderSagas(clients, watch, startSaga);
    const parts = { db, pricing, shipping, watch, sagas, startSaga, findSaga, findSagas, turnSagaBack };
    return {
      rpcs: [rpc(OrdersService, ordersRpc(parts))],
      consumers: orderConsumers(pricing),
      sagas: [sagas.checkout, sagas.cancel, sagas.return, sagas.refund],
      reconciliations: orderReconciliations({ db, ...clients }),
      jobs: [watchElsewhere(db, watch)],
    };
  },
});

if (import.meta.main) await run(orders);
