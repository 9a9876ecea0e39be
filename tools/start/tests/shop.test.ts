// The whole shop as a person starts it: `npm start` with a folder and ports of its own.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import manifest from "../../../package.json" with { type: "json" };
import { SEED_SCOPES, seedShop } from "../../seed/seed.ts";
import { findFreeBlock, isPortFree } from "../../stores/free-port.ts";
import { BLOCK_SIZE, type Ports, portsFrom } from "../ports.ts";
import { readProcessIdentity } from "../process-identity.ts";
import { readRunningProcesses } from "../process-records.ts";
import { PROCESSES, urlOf } from "../processes.ts";

const execute = promisify(execFile);
const TOOLS = join(import.meta.dirname, "../..");
const READY_WITHIN_MS = 120_000;
const MAX_MEMORY_BYTES = 1.2e9;
const IDLE_WITHIN_MS = 20_000;

let dataDir: string;
let ports: Ports;
let supervisor: ChildProcess;
let output = "";

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "souk-shop-"));
  const base = await findFreeBlock(BLOCK_SIZE);
  ports = portsFrom(base);
  const [, ...start] = manifest.scripts.start.split(" ");
  const args = [...start, "--data-dir", dataDir, "--port-base", `${base}`];
  supervisor = spawn(process.execPath, args, {
    cwd: join(TOOLS, ".."),
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [supervisor.stdout, supervisor.stderr]) stream?.on("data", (text) => (output += text));
  const isSettled = () => output.includes("Souk is ready after") || supervisor.exitCode !== null;
  await vi.waitUntil(isSettled, { timeout: READY_WITHIN_MS, interval: 100 });
  if (supervisor.exitCode !== null)
    throw new Error(`The shop did not start:
${output}`);
}, READY_WITHIN_MS);
afterAll(async () => {
  if (supervisor.exitCode === null && supervisor.signalCode === null) {
    supervisor.kill("SIGINT");
    await once(supervisor, "exit");
  }
  rmSync(dataDir, { recursive: true, force: true });
}, 60_000);

async function run(command: string, ...args: string[]) {
  const path = join(TOOLS, command);
  const options = { timeout: 60_000 };
  const answer = await execute(process.execPath, [path, "--data-dir", dataDir, ...args], options).catch(
    (error) => error,
  );
  return { code: answer.code ?? 0, stdout: String(answer.stdout), stderr: String(answer.stderr) };
}

function running() {
  return readRunningProcesses(join(dataDir, "processes"));
}

async function get(path: string, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(`${urlOf(ports.gateway)}${path}`, { headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown[]> };
}

describe("npm run order", () => {
  test("buys, shows the steps, and ends with 0 when the order is confirmed", async () => {
    const { code, stdout } = await run("order.ts");
    expect(stdout).toMatch(/^order_\w+ {2}1 × .+ EUR\n/);
    expect(stdout).toMatch(/ s {2}CONFIRMED\n$/);
    expect(code).toBe(0);
  });

  test("counts a declined card as asked for when the order is cancelled for that reason", async () => {
    const { code, stdout } = await run("order.ts", "--card", "declined", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      status: "CANCELLED",
      cancelReason: "CARD_DECLINED",
      asAsked: true,
    });
    expect(code).toBe(0);
  });

  test("cancels what it bought, and shows both ends", async () => {
    const { code, stdout } = await run("order.ts", "--cancel");
    expect(stdout).toMatch(/ s {2}CONFIRMED\n[\s\S]* s {2}CANCELLED \(CUSTOMER_CANCELLED\)\n$/);
    expect(code).toBe(0);
  });

  test("buys several and sums up", async () => {
    const { code, stdout } = await run("order.ts", "--count", "5");
    expect(stdout).toContain("5 of 5 ended as asked for, CONFIRMED");
    expect(code).toBe(0);
  });
});

test("the printed curl places an order as it stands", async () => {
  const command = /^curl -i[\s\S]*?\n {2}-d '.*'$/m.exec(output)?.[0] ?? "";
  const { stdout } = await execute("sh", ["-c", command.replace("curl -i", "curl -si")]);
  expect(stdout).toMatch(/^HTTP\/1\.1 202/);
  expect(stdout).toContain("ORDER_STATUS_PENDING");
});

test("a printed token opens the door, and no token does not", async () => {
  const { stdout } = await run("token.ts");
  expect((await get("/v1/orders", stdout.trim())).status).toBe(200);
  expect((await get("/v1/orders")).status).toBe(401);
});

test("the shop is seeded with 12 categories, and seeding again adds nothing", async () => {
  expect((await get("/v1/categories")).body.categories).toHaveLength(12);
  const { stdout } = await run("token.ts", "--scope", SEED_SCOPES, "--roles", "operator");
  const target = {
    catalogUrl: urlOf(ports.catalog),
    inventoryUrl: urlOf(ports.inventory),
    token: stdout.trim(),
  };
  expect(await seedShop(target)).toEqual({ categories: 0, products: 0, stocks: 0 });
});

test("npm run top shows every process, and idle they stay below 1.2 GB together", async () => {
  const { processes } = await readTop();
  const names = processes.map(({ name }: { name: string }) => name);
  const expected = [...PROCESSES.map(({ name }) => name), "postgres", "nats", "redis", "supervisor"];
  expect(names.sort()).toEqual(expected.sort());
  const orders = processes.find(({ name }: { name: string }) => name === "orders");
  expect(orders).toMatchObject({
    cpuPercent: expect.any(Number),
    requestsPerSecond: expect.any(Number),
    outboxPending: expect.any(Number),
    sagasInFlight: expect.any(Number),
  });
  // Pools let go of what seeding opened after 10 s: only then is the shop idle.
  const memory = await vi.waitUntil(readIdleMemory, { timeout: IDLE_WITHIN_MS, interval: 1_000 });
  expect(memory).toBeGreaterThan(100e6);
});

async function readTop() {
  const { stdout } = await run("top.ts", "--once", "--json");
  return JSON.parse(stdout);
}

/** The shop's memory in bytes once it is within its bound, else undefined. */
async function readIdleMemory(): Promise<number | undefined> {
  const { memoryBytes } = (await readTop()).all;
  return memoryBytes < MAX_MEMORY_BYTES ? memoryBytes : undefined;
}

test.each(["orders", "postgres", "nats"])(
  "%s is started again after a SIGKILL, and orders end as before",
  async (name) => {
    const before = running().find((process) => process.name === name);
    process.kill(-(before?.pid ?? 0), "SIGKILL");
    await expect.poll(() => output, { timeout: 30_000 }).toContain(`${name} serves again`);
    expect(running().find((process) => process.name === name)?.pid).not.toBe(before?.pid);
    const { code, stdout } = await run("order.ts");
    expect(stdout).toContain("CONFIRMED");
    expect(code).toBe(0);
  },
  90_000,
);

test("npm run chaos buys in it, finds that all adds up, and leaves the faults to others", async () => {
  const flags = [
    "--against",
    join(dataDir, "ports.json"),
    "--minutes",
    "0.1",
    "--rate",
    "6",
    "--speed",
    "0.2",
  ];
  const args = [join(TOOLS, "../chaos/main.ts"), ...flags, "--out", join(dataDir, "chaos")];
  const { code = 0, stdout } = await execute(process.execPath, args, { timeout: 110_000 }).catch(
    (error) => error,
  );
  expect(stdout).toContain("**Every invariant held.**");
  expect(stdout).toContain("| orders accepted | 10 |");
  expect(stdout).toMatch(/`stock-adds-up`.* holds \|/);
  expect(code).toBe(0);
}, 120_000);

test("a second start in the folder says so, and one on the same ports names the port", async () => {
  const again = await run("start/main.ts");
  expect(again).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`A shop already runs in ${dataDir}`),
  });
  const other = mkdtempSync(join(tmpdir(), "souk-other-"));
  const args = ["--data-dir", other, "--port-base", `${ports.gateway}`];
  const clashing = await execute(process.execPath, [join(TOOLS, "start/main.ts"), ...args]).catch(
    (error) => error,
  );
  rmSync(other, { recursive: true });
  expect(clashing.stdout).toContain(`Port ${ports.gateway} for gateway is taken`);
});

test("Ctrl-C ends everything and frees every port", async () => {
  const pids = running().map(({ pid }) => pid);
  expect(pids).toHaveLength(PROCESSES.length + 3);
  supervisor.kill("SIGINT");
  expect(await once(supervisor, "exit")).toEqual([0, null]);
  expect(pids.map(readProcessIdentity).filter(Boolean)).toEqual([]);
  const free = await Promise.all(Object.values(ports).map(isPortFree));
  expect(free.every(Boolean)).toBe(true);
  expect(existsSync(join(dataDir, "ports.json"))).toBe(false);
  expect((await run("order.ts")).stderr).toContain("No shop is ready");
}, 60_000);
