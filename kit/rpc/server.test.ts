import { expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { createClient } from "./client.ts";
import { allowed, sku, startInventory } from "./tests/inventory.ts";

it("a call is answered by the method's handler", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const answer = await client.getStock({ sku });
  expect(answer.stock).toMatchObject({ sku, onHand: 5 });
  client.close();
});

it("a call without a token is refused", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url });
  await expect(client.getStock({ sku })).rejects.toMatchObject({
    code: Code.UNAUTHENTICATED,
    reason: "TOKEN_MISSING",
  });
  client.close();
});
