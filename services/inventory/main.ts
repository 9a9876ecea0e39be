import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { readConfig } from "./config.ts";
import { inventoryConsumers } from "./consumers.ts";
import { expireReservations } from "./expiry-job.ts";
import { inventoryReconciliations } from "./reconciliations.ts";
import { inventoryRpc } from "./rpc.ts";

/** Inventory: counts pieces, and sets them aside for orders. */
export const inventory = defineService({
  name: "inventory",
  migrations: new URL("./migrations/", import.meta.url),
  readConfig,
  wire({ db, log, signal }, { expiryEveryMs, expiryBatchSize }) {
    const expiry = { db, batchSize: expiryBatchSize, signal };
    return {
      rpcs: [rpc(InventoryService, inventoryRpc({ db }))],
      consumers: inventoryConsumers({ log }),
      reconciliations: inventoryReconciliations(db),
      jobs: [{ name: "expiry", everyMs: expiryEveryMs, run: () => expireReservations(expiry) }],
    };
  },
});

if (import.meta.main) await run(inventory);
