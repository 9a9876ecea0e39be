// `npm start`: runs the whole shop on this machine until Ctrl-C.

import { CUSTOMER_SCOPES, DEMO_CUSTOMER, fetchToken } from "../client/tokens.ts";
import { SEED_SCOPES, seedShop } from "../seed/seed.ts";
import { readStartFlags, START_HELP } from "./flags.ts";
import { LogView } from "./log-view.ts";
import { type Ports, portsFrom } from "./ports.ts";
import { writePortsFile } from "./ports-file.ts";
import { urlOf } from "./processes.ts";
import { proveOrderable } from "./prove-orderable.ts";
import { readyText } from "./ready-text.ts";
import { startShop } from "./shop.ts";
import { shopFolder } from "./shop-folder.ts";
import { supervise } from "./supervise.ts";

const say = (line: string) => console.log(line);
// A terminal that goes away must not take the shop's orderly end with it.
process.stdout.on("error", () => undefined);

try {
  const flags = readStartFlags(process.argv.slice(2), process.env);
  if (flags.help) say(START_HELP);
  else process.exitCode = await run(flags.dataDir, flags.portBase, flags.fresh);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function run(dataDir: string, portBase: number, fresh: boolean): Promise<number> {
  const folder = shopFolder(dataDir);
  const ports = portsFrom(portBase);
  const logView = new LogView(say);
  const startedAt = performance.now();
  try {
    return await supervise({ folder, fresh, say }, async (supervisor) => {
      say(`Starting Souk in ${folder.root}, ports ${portBase} and up`);
      await startShop({ folder, ports, supervisor, logView, say });
      const order = await fillAndProve(ports);
      supervisor.stopping.throwIfAborted();
      writePortsFile(folder, ports);
      say(readyText({ ports, order, seconds: (performance.now() - startedAt) / 1000 }));
    });
  } finally {
    logView.close();
  }
}

/** Seeds, and asks the public door for everything an order needs. */
async function fillAndProve(ports: Ports) {
  const issuerUrl = urlOf(ports.issuer);
  const staff = { sub: DEMO_CUSTOMER, scope: SEED_SCOPES, roles: "operator" };
  const customer = { sub: DEMO_CUSTOMER, scope: CUSTOMER_SCOPES, roles: "customer" };
  const [staffToken, token] = await Promise.all([
    fetchToken(issuerUrl, staff),
    fetchToken(issuerUrl, customer),
  ]);
  const added = await seedShop({
    catalogUrl: urlOf(ports.catalog),
    inventoryUrl: urlOf(ports.inventory),
    token: staffToken,
  });
  if (added.products > 0)
    say(`Added ${added.products} products in ${added.categories} categories, with stock`);
  return { token, productId: await proveOrderable(urlOf(ports.gateway), token) };
}
