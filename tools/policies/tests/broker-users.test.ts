import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { connectNats, ensureConsumer, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { findFreePort } from "../../stores/free-port.ts";
import { findNatsServer } from "../../stores/nats.ts";
import { BROKER_USERS, brokerUsers, passwordVariable } from "../broker-users.ts";

// What the generated users may do, asked of a real server.
const log = createLogger({ service: "test", level: "silent" });
const folder = mkdtempSync(join(tmpdir(), "souk-broker-"));
const passwordOf = (user: string) => `${user}-secret`;
let server: ChildProcess;
let url: string;

beforeAll(async () => {
  const program = await findNatsServer(() => {});
  if ("dockerImage" in program)
    throw new Error("this test gives the server files, and needs nats-server itself");
  const port = await findFreePort();
  url = `nats://127.0.0.1:${port}`;
  const file = join(folder, "nats.conf");
  const store = `jetstream { store_dir: ${JSON.stringify(join(folder, "store"))} }`;
  writeFileSync(file, [`listen: "127.0.0.1:${port}"`, store, await brokerUsers()].join("\n"));
  const passwords = Object.fromEntries(
    BROKER_USERS.map((user) => [passwordVariable(user), passwordOf(user)]),
  );
  server = spawn(program.path, ["--config", file], { env: passwords, stdio: "ignore" });
});
afterAll(async () => {
  server.kill();
  if (server.exitCode === null) await once(server, "exit");
  rmSync(folder, { recursive: true });
});

async function as<T>(user: string, use: (nats: Nats) => Promise<T>): Promise<T> {
  const login = { user, password: new Secret(passwordOf(user)) };
  const nats = await connectNats({ url, name: user, log, login });
  try {
    return await use(nats);
  } finally {
    await nats.close();
  }
}

const ofArea = (area: string) => ({ name: `souk_${area}_v1`, subjects: `souk.${area}.v1.*` });
const publish = (nats: Nats, subject: string) => nats.jetstream.publish(subject, "{}", { timeout: 2_000 });

test("a service makes its streams, announces its own events and those of operators, and applies others'", async () => {
  const publications = await as("orders", async (nats) => {
    for (const area of ["orders", "ops", "catalog"]) await ensureStream(nats, ofArea(area));
    return [
      await publish(nats, "souk.orders.v1.OrderPlaced"),
      await publish(nats, "souk.ops.v1.SagaRetried"),
    ];
  });
  expect(publications.map(({ stream }) => stream)).toEqual(["souk_orders_v1", "souk_ops_v1"]);
  const heard = await as("inventory", async (nats) => {
    const name = "inventory_souk_orders_v1";
    const consumer = await ensureConsumer(nats, {
      stream: "souk_orders_v1",
      name,
      filter: "souk.orders.v1.*",
    });
    const message = await consumer.next({ expires: 5_000 });
    return await message?.ackAck({ timeout: 2_000 });
  });
  expect(heard).toBe(true);
});

test("nobody announces another service's event", async () => {
  const forged = as("catalog", (nats) => publish(nats, "souk.orders.v1.OrderConfirmed"));
  await expect(forged).rejects.toThrow(/permissions violation/i);
});

test("nobody takes events from another service's consumer", async () => {
  const name = "inventory_souk_orders_v1";
  const taken = as("catalog", (nats) => nats.manager.consumers.info("souk_orders_v1", name));
  await expect(taken).rejects.toThrow(/permissions violation/i);
});

test("no service removes or empties a stream", async () => {
  await as("orders", async ({ manager }) => {
    await expect(manager.streams.purge("souk_orders_v1")).rejects.toThrow(/permissions violation/i);
    await expect(manager.streams.delete("souk_orders_v1")).rejects.toThrow(/permissions violation/i);
  });
});

test("who has no password, or a wrong one, is let in by nobody", async () => {
  await as("operator", ({ manager }) => manager.streams.info("souk_orders_v1"));
  const wrong = { user: "orders", pass: "guess" };
  for (const login of [{}, wrong])
    await expect(connect({ servers: url, ...login })).rejects.toThrow(/authorization violation/i);
});
