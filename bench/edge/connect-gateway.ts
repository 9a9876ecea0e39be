// What connect-node's own parts make of a gateway: its adapter in front, its gRPC transport behind, messages decoded between them.

import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { keptOpenMs } from "./calls.ts";

const client = createClient(
  OrdersService,
  createGrpcTransport({ baseUrl: process.env.BACKEND_URL ?? "", httpVersion: "2" } as never),
);
const adapter = connectNodeAdapter({
  routes: (router) =>
    router.service(OrdersService, {
      placeOrder: (request) => client.placeOrder(request),
      getRefund: (request) => client.getRefund(request),
      listOrders: (request) => client.listOrders(request),
    }),
  // As the others write them.
  jsonOptions: { alwaysEmitImplicit: true },
});

const portOf = (server: http.Server | http2.Http2Server) => (server.address() as AddressInfo).port;
const rest = http.createServer({ keepAliveTimeout: keptOpenMs }, adapter).listen(0, "127.0.0.1", () => {
  const grpc = http2.createServer(adapter);
  grpc.listen(0, "127.0.0.1", () => process.send?.({ port: portOf(rest), grpcPort: portOf(grpc) }));
});
process.once("disconnect", () => process.exit());
