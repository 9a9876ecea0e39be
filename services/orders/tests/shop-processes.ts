import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { type Client, createClient } from "#kit/rpc/client.ts";
import { cloneDatabase } from "#kit/testing/test-database.ts";
import { fetchTestToken, serviceEnvironment, testEnvironment, testPrefix } from "#kit/testing/testing.ts";
import { type SandboxProcess, startSandboxProcess } from "../../../sandboxes/sandbox-process.ts";
import { startGuard } from "../../../tools/stores/store-set.ts";

/** A service that orders calls. */
export type CalleeName = "catalog" | "inventory" | "payments" | "shipping";

/** What a test wants to be on sale. */
export interface Draft {
  readonly amountMinor?: bigint;
  readonly currencyCode?: string;
  /** Pieces in the warehouse; only where inventory runs. */
  readonly pieces?: number;
}

/** Something to buy. */
export interface Goods {
  readonly productId: string;
  readonly sku: string;
}

/** What an outside party of the shop did, oldest first. */
export interface LedgerEntry {
  readonly kind: string;
  readonly amount?: number;
}

/** The services that orders calls, each a process of its own, with the sandboxes behind them. */
export interface ShopProcesses {
  /** Root of the subjects that orders is to share. */
  readonly prefix: string;
  /** CATALOG_URL and its like; nothing listens where a callee was not asked for. */
  readonly urls: Readonly<Record<string, string>>;
  /** The catalog, as somebody of the staff. */
  readonly catalog: Client<typeof CatalogService>;
  /** The warehouse, as somebody of the staff. */
  readonly inventory: Client<typeof InventoryService>;
  sell(draft?: Draft): Promise<Goods>;
  /** What card processor and carrier did for an order. */
  ledgers(orderId: string): Promise<{ readonly processor: LedgerEntry[]; readonly carrier: LedgerEntry[] }>;
  /** A callee's database as its owner. */
  ownerUrl(name: CalleeName): string;
  /** Pays a payment back past its order, as support may at payments. */
  payBack(paymentId: string): Promise<void>;
  /** Has the carrier collect an order's parcel. */
  dispatch(orderId: string): Promise<void>;
  /** Ends one callee, as a crash would. */
  kill(name: CalleeName): Promise<void>;
  stop(): Promise<void>;
}

const nowhere = "http://127.0.0.1:1";
const sandboxKey = "sandbox_test_orders";
const readyWithinMs = 30_000;
const repository = fileURLToPath(new URL("../../../", import.meta.url));
/** Kept between runs: most of a service's start is the stripping of types. */
const compileCache = join(repository, "node_modules/.cache/souk-tests");

interface CalleeProcess {
  readonly url: string;
  readonly ownerUrl: string;
  kill(): Promise<void>;
}

interface Parts {
  readonly folder: string;
  readonly guard: ReturnType<typeof startGuard>;
  readonly prefix: string;
}

/** Starts the callees named, side by side. */
export async function startShopProcesses(
  names: readonly CalleeName[] = ["catalog", "inventory", "payments", "shipping"],
): Promise<ShopProcesses> {
  mkdirSync(compileCache, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "souk-orders-"));
  const parts = { folder, guard: startGuard(folder), prefix: testPrefix() };
  const sandboxes = new Map<string, SandboxProcess>();
  const callees = new Map<CalleeName, CalleeProcess>();
  const stop = async () => {
    await Promise.all([...callees.values()].map((callee) => callee.kill()));
    await Promise.all([...sandboxes.values()].map((sandbox) => sandbox.stop("SIGKILL")));
    await parts.guard.dismiss();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(
      names.map(async (name) => callees.set(name, await startCallee(parts, name, sandboxes))),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...openDoors(callees, sandboxes), prefix: parts.prefix, stop };
}

function openDoors(
  callees: ReadonlyMap<CalleeName, CalleeProcess>,
  sandboxes: ReadonlyMap<string, SandboxProcess>,
) {
  const urlOf = (name: CalleeName) => callees.get(name)?.url ?? nowhere;
  const token = staffToken();
  const catalog = createClient(CatalogService, { url: urlOf("catalog"), token });
  const inventory = createClient(InventoryService, { url: urlOf("inventory"), token });
  const category = memoized(async () => {
    const { category: made } = await catalog.createCategory({ name: "Tea", slug: "tea" }, freshKey());
    return made?.categoryId ?? "";
  });
  return {
    urls: {
      CATALOG_URL: urlOf("catalog"),
      INVENTORY_URL: urlOf("inventory"),
      PAYMENTS_URL: urlOf("payments"),
      SHIPPING_URL: urlOf("shipping"),
    },
    catalog,
    inventory,
    sell: async (draft: Draft = {}) => sell(catalog, inventory, await category(), draft),
    ledgers: async (orderId: string) => ({
      processor: await readLedger(sandboxes.get("card-processor"), `metadata[order_id]=${orderId}`),
      carrier: await readLedger(sandboxes.get("carrier"), `reference=${orderId}`),
    }),
    ownerUrl: (name: CalleeName) => callees.get(name)?.ownerUrl ?? nowhere,
    payBack: async (paymentId: string) => {
      const payments = createClient(PaymentsService, { url: urlOf("payments"), token });
      await payments.refundPayment({ paymentId }, freshKey());
      payments.close();
    },
    dispatch: (orderId: string) => dispatch(sandboxes.get("carrier"), orderId),
    kill: async (name: CalleeName) => callees.get(name)?.kill(),
  };
}

const staffScopes = "catalog:write inventory:read inventory:write payments:refund";

const staffToken = () =>
  memoized(() => fetchTestToken({ sub: "user_staff", scope: staffScopes, roles: "operator" }));

function memoized<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** A fresh key, for a command whose repetition is not the point. */
export const freshKey = () => ({ idempotencyKey: newId("key") });

async function sell(
  catalog: Client<typeof CatalogService>,
  inventory: Client<typeof InventoryService>,
  categoryId: string,
  { amountMinor = 1_999n, currencyCode = "EUR", pieces = 0 }: Draft,
): Promise<Goods> {
  const sku = `TEA-${crypto.randomUUID().slice(0, 13).toUpperCase()}`;
  const price = { currencyCode, amountMinor };
  const { product } = await catalog.createProduct({ sku, name: "Teapot", categoryId, price }, freshKey());
  const receipt = { sku, quantity: pieces, reason: MovementReason.RECEIVED };
  if (pieces > 0) await inventory.adjustStock(receipt, freshKey());
  return { productId: product?.productId ?? "", sku };
}

async function readLedger(sandbox: SandboxProcess | undefined, filter: string): Promise<LedgerEntry[]> {
  if (!sandbox) return [];
  const headers = { authorization: `Bearer ${sandboxKey}` };
  const answer = await fetch(`${sandbox.url}/sandbox/ledger?${filter}`, { headers });
  const lines = (await answer.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as LedgerEntry);
}

async function dispatch(carrier: SandboxProcess | undefined, orderId: string) {
  if (!carrier) throw new Error("there is no carrier");
  const headers = { authorization: `Bearer ${sandboxKey}` };
  const listed = await fetch(`${carrier.url}/v1/shipments?reference=${orderId}`, { headers });
  const { shipments } = (await listed.json()) as { shipments: { id: string }[] };
  const path = `/sandbox/shipments/${shipments[0]?.id}/advance`;
  const answer = await fetch(carrier.url + path, { method: "POST", headers });
  if (!answer.ok) throw new Error(`the carrier answered ${answer.status}: ${await answer.text()}`);
}

async function startCallee(
  parts: Parts,
  name: CalleeName,
  sandboxes: Map<string, SandboxProcess>,
): Promise<CalleeProcess> {
  const migrations = new URL(`../../${name}/migrations/`, import.meta.url);
  const [database, extra] = await Promise.all([
    cloneDatabase(testEnvironment().postgresUrl, { name, migrations }),
    outsideOf(parts, name, sandboxes),
  ]);
  const env = { ...serviceEnvironment(name, database, parts.prefix), ...extra };
  const child = spawn(process.execPath, [join(repository, `services/${name}/main.ts`)], {
    // The line that names the port is of this level.
    env: { NODE_COMPILE_CACHE: compileCache, ...env, LOG_LEVEL: "info" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  parts.guard.watch(name, child.pid);
  const exited = once(child, "exit");
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
    parts.guard.watch(name, undefined);
  };
  const port = await readPort(name, child);
  return { url: `http://127.0.0.1:${port}`, ownerUrl: database.ownerUrl, kill };
}

async function outsideOf(
  { folder }: Parts,
  name: CalleeName,
  sandboxes: Map<string, SandboxProcess>,
): Promise<Record<string, string>> {
  const start = async (sandbox: "card-processor" | "carrier") => {
    const env = { DATA_DIR: join(folder, sandbox), API_KEY: sandboxKey, SLOW_MS: "1200" };
    const started = await startSandboxProcess(sandbox, env);
    sandboxes.set(sandbox, started);
    return started.url;
  };
  if (name === "shipping") return { CARRIER_URL: await start("carrier"), CARRIER_KEY: sandboxKey };
  if (name !== "payments") return {};
  return {
    CARD_PROCESSOR_URL: await start("card-processor"),
    CARD_PROCESSOR_KEY: sandboxKey,
    CARD_PROCESSOR_WEBHOOK_SECRET: "whsec_test_orders",
  };
}

async function readPort(name: string, child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error(`${name} has no output to read`);
  const printed: string[] = [];
  const timer = setTimeout(() => child.kill("SIGKILL"), readyWithinMs);
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      printed.push(text);
      const { msg, port } = JSON.parse(text) as { msg?: string; port?: number };
      if (msg === "ready" && port !== undefined) return port;
    }
  } finally {
    clearTimeout(timer);
    // What it prints from now on is of no interest, but must be read, or the process would block on a full pipe.
    child.stdout.resume();
  }
  throw new Error(`${name} did not start: ${printed.join("\n")}`);
}
