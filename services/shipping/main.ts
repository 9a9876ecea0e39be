import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { readConfig } from "./config.ts";
import { createParcelCarrier } from "./parcel-carrier.ts";
import { shippingReconciliations } from "./reconciliations.ts";
import { shippingRpc } from "./rpc.ts";

/** Shipping: quotes, books, cancels and follows parcels. */
export const shipping = defineService({
  name: "shipping",
  migrations: new URL("./migrations/", import.meta.url),
  readConfig,
  wire({ db, signal }, config) {
    const carrier = createParcelCarrier({
      url: config.carrierUrl,
      key: config.carrierKey,
      timeoutMs: config.carrierTimeoutMs,
    });
    signal.addEventListener("abort", () => carrier.close(), { once: true });
    return {
      rpcs: [rpc(ShippingService, shippingRpc({ db, carrier }))],
      reconciliations: shippingReconciliations({ db, carrier }),
    };
  },
});

if (import.meta.main) await run(shipping);
