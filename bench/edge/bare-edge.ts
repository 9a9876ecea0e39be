// The edge with no policy: what `edge/` alone costs.

import { createEdge } from "#edge/edge.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";

const edge = createEdge({
  registry: [OrdersService.file],
  backendFor: () => ({ address: process.env.BACKEND_URL ?? "" }),
});
const { port } = await edge.listen({ host: "127.0.0.1", port: 0 });
process.send?.({ port, grpcPort: port });
process.once("disconnect", () => process.exit());
