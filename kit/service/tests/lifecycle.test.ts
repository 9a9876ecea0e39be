import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { createClient } from "#kit/rpc/client.ts";
import { type Resources, startService } from "#kit/service/service.ts";
import { readCounter } from "#kit/testing/fixture/counter-store.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import {
  eventually,
  fetchTestToken,
  serviceEnvironment,
  startForTest,
  testPrefix,
} from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";
import { startChild } from "./child.ts";

let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

const statusOf = async (url: string, path: string) => (await fetch(url + path)).status;
const refusesConnections = (url: string) => expect(fetch(url)).rejects.toThrow("fetch failed");

/** A port that was free a moment ago. */
async function findFreePort() {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a service that starts", () => {
  test("is alive and not ready while it waits for what it needs, and then ready", async () => {
    await using nats = await startOwnStore("nats");
    await nats.stop();
    const metricsPort = await findFreePort();
    const url = `http://127.0.0.1:${metricsPort}`;
    const env = { NATS_URL: nats.url, METRICS_PORT: String(metricsPort) };
    const starting = startForTest(createCounters(), { env });
    await eventually(async () => expect(await statusOf(url, "/health/live")).toBe(200));
    expect(await statusOf(url, "/health/ready")).toBe(503);
    await nats.start();
    const service = await starting;
    expect(await statusOf(url, "/health/ready")).toBe(200);
    await service.stop();
  });

  test("and cannot, closes all it had opened", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const { port } = holder.address() as AddressInfo;
    const metricsPort = await findFreePort();
    const own = await openParts();
    await own.db.close();
    let given: Resources | undefined;
    const definition = createCounters({
      jobs(resources) {
        given = resources;
        return [];
      },
    });
    const ports = { PORT: String(port), METRICS_PORT: String(metricsPort) };
    const env = { ...serviceEnvironment("counters", own.database, own.prefix), ...ports };
    await expect(startService(definition, env)).rejects.toThrow(/EADDRINUSE|No address added/);
    expect(given?.signal.aborted).toBe(true);
    await refusesConnections(`http://127.0.0.1:${metricsPort}/health/live`);
    const connections = `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
    await eventually(async () => expect(await own.asOwner(connections)).toEqual([]));
    await new Promise((resolve) => holder.close(resolve));
    await own.nats.close();
  });

  test("without its owner's password waits until a process of its own has migrated the database", async () => {
    const own = await openParts();
    await own.asOwner("drop table counters, notes; delete from public.migrations_service");
    const env = { DATABASE_OWNER_URL: "" };
    const starting = startForTest(createCounters(), { database: own.database, env });
    const main = fileURLToPath(new URL("../../testing/fixture/main.ts", import.meta.url));
    const { appUrl, ownerUrl } = own.database;
    await promisify(execFile)(process.execPath, [main, "migrate"], {
      env: { DATABASE_URL: appUrl, DATABASE_OWNER_URL: ownerUrl },
    });
    const service = await starting;
    expect(await readCounter(own.db, "first")).toBe(0n);
    await service.stop();
    await own.close();
  });

  test("with an environment that is not usable opens nothing", async () => {
    await expect(startService(createCounters(), {})).rejects.toThrow(/DATABASE_URL is not set/);
  });
});

describe("a service that stops", () => {
  test("is not ready first, then ends its calls, then its loops, then its connections", async () => {
    const [called, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let signal: AbortSignal | undefined;
    const definition = createCounters({
      onPrepare() {
        called.resolve();
        return mayEnd.promise;
      },
      jobs(resources) {
        signal = resources.signal;
        return [];
      },
    });
    const service = await startForTest(definition);
    const { metricsUrl, database } = service;
    // Of its own, since the service's clients are closed with it.
    const token = await fetchTestToken({ service: "orders" });
    const orders = createClient(InventoryService, { url: service.url, token: () => token });
    const orderId = newId("order");
    const lines = [{ sku: "ANY", quantity: 1 }];
    const underWay = orders.reserveStock({ orderId, lines }, { idempotencyKey: newId("key") });
    await called.promise;
    expect(await statusOf(metricsUrl, "/health/ready")).toBe(200);
    const stopped = service.stop();
    expect(await statusOf(metricsUrl, "/health/ready")).toBe(503);
    expect(await statusOf(metricsUrl, "/health/live")).toBe(200);
    expect(signal?.aborted).toBe(false);
    mayEnd.resolve();
    expect((await underWay).reservation?.orderId).toBe(orderId);
    await stopped;
    orders.close();
    expect(signal?.aborted).toBe(true);
    await refusesConnections(`${metricsUrl}/health/live`);
    // Its saga was not lost with it: another start on its database ends it.
    await using next = await startForTest(createCounters(), { database });
    await eventually(async () => expect(await readCounter(next.db, `completed ${orderId}`)).toBe(1n));
    expect(await readCounter(next.db, `settled ${orderId}`)).toBe(1n);
  });

  test("may be told so twice", async () => {
    const env = serviceEnvironment("counters", parts.database, testPrefix());
    const service = await startService(createCounters(), env);
    await Promise.all([service.stop(), service.stop()]);
    await service.stop();
  });
});

test("a job that throws is run again, and no more once the service stops", async () => {
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs < 4) throw new Error("this time it failed");
  };
  const service = await startForTest(createCounters({ jobs: () => [{ name: "count", everyMs: 5, run }] }));
  await eventually(() => expect(runs).toBeGreaterThan(5));
  await service.stop();
  const atStop = runs;
  await using next = await startForTest(createCounters(), { database: service.database });
  expect(await statusOf(next.metricsUrl, "/health/ready")).toBe(200);
  expect(runs).toBe(atStop);
});

describe("a service's process", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("ends by itself, with code 0, after %s", async (signal) => {
    const child = await startChild({ database: parts.database, prefix: parts.prefix });
    expect(await statusOf(child.metricsUrl, "/health/ready")).toBe(200);
    child.process.kill(signal);
    const { code, signal: endedBy, output } = await child.ended;
    expect({ code, endedBy, output: code === 0 ? "" : output }).toEqual({
      code: 0,
      endedBy: null,
      output: "",
    });
  });

  test("that dies between COMMIT and its answer has done its work once, and tells so when asked again", async () => {
    const own = await openParts();
    const folder = mkdtempSync(join(tmpdir(), "souk-failpoints-"));
    const env = { FAILPOINTS: "rpc:AdjustStock:committed=kill", FAILPOINTS_DIR: folder };
    const child = await startChild(own, env);
    const token = await fetchTestToken({ scope: "inventory:write", roles: "operator" });
    const adjust = async (url: string) => {
      const client = createClient(InventoryService, { url, token: () => token });
      const request = { sku: "KILLED", quantity: 3, reason: MovementReason.RECEIVED };
      return await client
        .adjustStock(request, { idempotencyKey: "one-key", retries: 0 })
        .finally(() => client.close());
    };
    await expect(adjust(child.url)).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
    expect(await child.ended).toMatchObject({ code: null, signal: "SIGKILL" });
    expect(readdirSync(folder)).toEqual(["rpc:AdjustStock:committed"]);
    expect(await readCounter(own.db, "KILLED")).toBe(3n);
    // The place acts once: the process that comes after passes it.
    const next = await startChild(own, env);
    expect((await adjust(next.url)).stock?.onHand).toBe(3);
    await eventually(async () => expect(await readCounter(own.db, "heard KILLED")).toBe(1n));
    expect(await readCounter(own.db, "KILLED")).toBe(3n);
    next.process.kill("SIGTERM");
    expect(await next.ended).toMatchObject({ code: 0 });
    rmSync(folder, { recursive: true });
    await own.close();
  });
});
