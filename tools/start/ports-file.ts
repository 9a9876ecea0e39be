import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Ports } from "./ports.ts";
import { readProcessIdentity } from "./process-identity.ts";
import { PROCESSES, urlOf } from "./processes.ts";
import { type ShopFolder, shopFolder } from "./shop-folder.ts";

/** What `.souk/ports.json` tells the other commands about a shop that is ready. */
export type RunningShop = {
  gatewayUrl: string;
  issuerUrl: string;
  ports: Ports;
  /** Where each process with metrics shows them. */
  metricsUrls: Readonly<Record<string, string>>;
  /** The supervisor, so that a file left by a killed one is not believed. */
  supervisor: { pid: number; identity: string };
};

/** Announces a shop that is ready. */
export function writePortsFile(folder: ShopFolder, ports: Ports): void {
  const metered = PROCESSES.filter(({ readiness }) => readiness.path === "/health/ready");
  const shop: RunningShop = {
    gatewayUrl: urlOf(ports.gateway),
    issuerUrl: urlOf(ports.issuer),
    ports,
    metricsUrls: Object.fromEntries(
      metered.map(({ name, readiness }) => [name, `${urlOf(ports[readiness.port])}/metrics`]),
    ),
    supervisor: { pid: process.pid, identity: readProcessIdentity(process.pid) ?? "" },
  };
  writeFileSync(`${folder.portsPath}.new`, `${JSON.stringify(shop, undefined, 2)}\n`);
  renameSync(`${folder.portsPath}.new`, folder.portsPath);
}

/** Finds the shop of a data folder; throws, with what to type, where none is ready. */
export function findRunningShop(dataDir: string): RunningShop {
  const shop = readPortsFile(shopFolder(dataDir).portsPath);
  if (shop && readProcessIdentity(shop.supervisor.pid) === shop.supervisor.identity) return shop;
  throw new Error(
    `No shop is ready in ${dataDir}. Start one in another terminal with "npm start" and wait until it says ready; ` +
      "for one that runs elsewhere, give its folder: --data-dir or SOUK_DATA_DIR",
  );
}

function readPortsFile(path: string): RunningShop | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
