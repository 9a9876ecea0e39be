import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Call } from "../call.ts";
import type { HandlersOf } from "../rpc.ts";
import { startInventory, type TestServer } from "./inventory.ts";

/** Holds the scope of WatchOrder. */
export const watcher = "ada orders:read";

type Watch = HandlersOf<typeof OrdersService>["watchOrder"];
type Update = Awaited<
  ReturnType<ReturnType<ReturnType<Watch>[typeof Symbol.asyncIterator]>["next"]>
>["value"];

/** Starts an orders service that only knows how to be watched. */
export function startOrders(watch: (call: Call) => AsyncIterable<Update>): Promise<TestServer> {
  const nothing = () => ({});
  const handlers: HandlersOf<typeof OrdersService> = {
    placeOrder: nothing,
    getOrder: nothing,
    listOrders: nothing,
    watchOrder: (_request, call) => watch(call),
    cancelOrder: nothing,
    createReturn: nothing,
    getReturn: nothing,
    listReturns: nothing,
    createRefund: nothing,
    getRefund: nothing,
    listRefunds: nothing,
  };
  return startInventory({}, { services: [{ descriptor: OrdersService, handlers }] });
}
