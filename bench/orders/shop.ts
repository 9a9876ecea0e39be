import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { CUSTOMER_SCOPES, fetchToken } from "../../tools/client/tokens.ts";
import { findRunningShop, type RunningShop } from "../../tools/start/ports-file.ts";
import { readRunningProcesses } from "../../tools/start/process-records.ts";
import { shopFolder } from "../../tools/start/shop-folder.ts";
import { createDatabases } from "../../tools/stores/databases.ts";
import { readUsages } from "../../tools/top/process-usage.ts";

/** A shop started for a benchmark, with a folder of its own. */
export interface BenchShop {
  readonly running: RunningShop;
  /** CPU time of each process since its start, in milliseconds, by name. */
  cpuMs(): Map<string, number>;
  tokens(count: number): Promise<string[]>;
  /** A hundred products, with stock for any number of orders. */
  productIds(): Promise<string[]>;
  /** What the stores promise about durability, as they say themselves. */
  durability(): Promise<string>;
  /** Makes an empty database beside the services', and returns how its owner reaches it. */
  createDatabase(name: string): Promise<string>;
  stop(): Promise<void>;
}

const readyWithinMs = 90_000;
/** Nobody is limited: the limit is not what is measured. It is still asked for each request. */
const generous = { RATE_LIMIT_PER_SECOND: "100000", RATE_LIMIT_BURST: "100000", LOG_LEVEL: "warn" };

/** Starts a shop as `npm start` does, on ports from `portBase` up. */
export async function startBenchShop(portBase: number): Promise<BenchShop> {
  const dataDir = mkdtempSync(join(tmpdir(), "souk-bench-"));
  const args = ["tools/start/main.ts", "--data-dir", dataDir, "--port-base", String(portBase)];
  const supervisor = spawn(process.execPath, args, {
    env: { ...process.env, ...generous },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await readyLine(supervisor);
  const running = findRunningShop(dataDir);
  return {
    running,
    cpuMs: () => readCpu(dataDir),
    tokens: (count) => fetchTokens(running, count),
    productIds: () => stockProducts(running),
    durability: () => readDurability(running, dataDir),
    createDatabase: (name) => createDatabase(running, dataDir, name),
    stop: () => stop(supervisor, dataDir),
  };
}

function readyLine({ stdout }: ChildProcess): Promise<void> {
  let seen = "";
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the shop is not ready:\n${seen}`)), readyWithinMs);
    stdout?.setEncoding("utf8").on("data", (text: string) => {
      seen = (seen + text).slice(-10_000);
      if (!seen.includes("Souk is ready")) return;
      clearTimeout(timer);
      resolve();
    });
  });
}

function readCpu(dataDir: string): Map<string, number> {
  const records = readRunningProcesses(shopFolder(dataDir).processesDir);
  const usages = readUsages(records.map(({ pid }) => pid));
  return new Map(records.map(({ name, pid }) => [name, usages.get(pid)?.cpuMs ?? 0]));
}

async function fetchTokens({ issuerUrl }: RunningShop, count: number): Promise<string[]> {
  const subs = Array.from({ length: count }, (_, index) => `user_${String(index).padStart(26, "0")}`);
  const person = { scope: CUSTOMER_SCOPES, roles: "customer" };
  return await Promise.all(subs.map((sub) => fetchToken(issuerUrl, { sub, ...person })));
}

async function stockProducts({ gatewayUrl, issuerUrl }: RunningShop): Promise<string[]> {
  const response = await fetch(`${gatewayUrl}/v1/products?page_size=100`);
  const { products } = (await response.json()) as { products: { productId: string; sku: string }[] };
  const token = await fetchToken(issuerUrl, {
    sub: "user_staff",
    scope: "inventory:write",
    roles: "operator",
  });
  for (const { sku } of products) {
    const adjusted = await fetch(`${gatewayUrl}/v1/stock/${sku}:adjust`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": crypto.randomUUID(),
      },
      body: JSON.stringify({ quantity: 100_000, reason: "MOVEMENT_REASON_RECEIVED" }),
    });
    if (!adjusted.ok)
      throw new Error(`adjusting ${sku} answered ${adjusted.status}: ${await adjusted.text()}`);
  }
  return products.map(({ productId }) => productId);
}

async function readDurability({ ports }: RunningShop, dataDir: string): Promise<string> {
  const passwords = JSON.parse(readFileSync(shopFolder(dataDir).databasePasswordsPath, "utf8"));
  const user = "orders_app";
  const place = { host: "127.0.0.1", port: ports.postgres, database: "orders" };
  const client = new Client({ ...place, user, password: passwords[user] });
  await client.connect();
  const settings = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"];
  const shown = [];
  for (const setting of settings) {
    const { rows } = await client.query(`select current_setting('${setting}') as value`);
    shown.push(`${setting}=${rows[0].value}`);
  }
  await client.end();
  return `Postgres ${shown.join(" ")}; JetStream file storage, one replica; Redis without persistence`;
}

async function createDatabase({ ports }: RunningShop, dataDir: string, name: string): Promise<string> {
  const password = readFileSync(join(dataDir, "postgres.password"), "utf8");
  const superuserUrl = `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`;
  const access = await createDatabases(superuserUrl, [name], join(dataDir, `${name}-passwords.json`));
  return access[name]?.ownerUrl ?? "";
}

async function stop(supervisor: ChildProcess, dataDir: string) {
  const ended = new Promise((resolve) => supervisor.once("exit", resolve));
  supervisor.kill("SIGINT");
  await ended;
  rmSync(dataDir, { recursive: true, force: true });
}
