import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { WebhookSender } from "./webhooks.ts";

const MAX_CONCURRENT = 8;

test("a target that does not answer gets 8 deliveries at once, and of those that wait the oldest are dropped", async () => {
  const arrived: string[] = [];
  const held: (() => void)[] = [];
  let released = false;
  const server = createServer((request, response) => {
    request.on("data", (chunk) => arrived.push(String(chunk)));
    if (released) response.end();
    else held.push(() => response.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const sender = new WebhookSender({ url, secret: "whsec", events: new Set() }, 5);
  for (let n = 0; n < 20; n++) sender.send(`evt_${n}`, String(n));
  await expect.poll(() => held.length).toBe(MAX_CONCURRENT);
  expect(arrived).toHaveLength(MAX_CONCURRENT);
  released = true;
  for (const release of held) release();
  await expect.poll(() => arrived.length).toBe(MAX_CONCURRENT + 5);
  expect(arrived.slice(MAX_CONCURRENT)).toEqual(["15", "16", "17", "18", "19"]);
  await sender.close(1000);
  server.closeAllConnections();
  server.close();
});
