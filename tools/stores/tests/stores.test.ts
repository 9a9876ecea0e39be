import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabases } from "../databases.ts";
import { startPostgres } from "../postgres.ts";
import { type StoreSet, startStores } from "../store-set.ts";

let folder: string;
let stores: StoreSet;
const log = () => undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "souk-stores-"));
  stores = await startStores({ dataDir: join(folder, "data"), log });
}, 30_000);
afterAll(async () => {
  await stores.stop();
  rmSync(folder, { recursive: true });
});

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe("Postgres", () => {
  test("is version 18 and durable: fsync, full-page writes and synchronous commits are on", async () => {
    const sql = `select name, setting from pg_settings
      where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'max_connections') order by name`;
    expect(await query(stores.postgres.url, sql)).toEqual([
      { name: "fsync", setting: "on" },
      { name: "full_page_writes", setting: "on" },
      { name: "max_connections", setting: "300" },
      { name: "synchronous_commit", setting: "on" },
    ]);
    expect(await query(stores.postgres.url, "show server_version")).toEqual([
      { server_version: expect.stringMatching(/^18\./) },
    ]);
  });

  test("asks for a password", async () => {
    const url = new URL(stores.postgres.url);
    url.password = "guess";
    await expect(query(url.href, "select 1")).rejects.toThrow("password authentication failed");
  });

  test.each(["SIGKILL", "immediate"] as const)("keeps what was committed before %s", async (how) => {
    const table = `kept_${how.toLowerCase()}`;
    await query(stores.postgres.url, `create table ${table} as select 42 as answer`);
    const { pid, port } = stores.postgres;
    if (how === "immediate") await stores.postgres.stop("immediate");
    else await stores.postgres.kill(how);
    expect(stores.postgres.pid).toBeUndefined();
    await stores.postgres.start();
    expect(stores.postgres.pid).not.toBe(pid);
    expect(stores.postgres.port).toBe(port);
    expect(await query(stores.postgres.url, `select answer from ${table}`)).toEqual([{ answer: 42 }]);
  });

  test("refuses a port that is taken, by its number", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const starting = startPostgres({
      dataDir: join(folder, "other"),
      logPath: join(folder, "other.log"),
      port,
      log,
    });
    await expect(starting).rejects.toThrow(`Port ${port} for postgres is taken`);
    server.close();
  });

  test.runIf(process.getuid?.() === 0)("runs for root in a folder that only root may enter", async () => {
    const closed = mkdtempSync(join(homedir(), "souk-closed-"));
    expect(statSync(closed).mode & 0o077).toBe(0);
    const options = {
      dataDir: join(closed, "postgres"),
      logPath: join(closed, "postgres.log"),
      port: 0,
      log,
    };
    const postgres = await startPostgres(options);
    expect(await query(postgres.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await postgres.stop();
    rmSync(closed, { recursive: true });
  });

  test("makes its data folder again where an earlier attempt was cut short", async () => {
    const dataDir = join(folder, "cut-short");
    mkdirSync(`${dataDir}.new/base`, { recursive: true });
    const postgres = await startPostgres({ dataDir, logPath: join(folder, "cut-short.log"), port: 0, log });
    expect(await query(postgres.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await postgres.stop();
    expect(existsSync(`${dataDir}.new`)).toBe(false);
  });
});

describe("the services' databases", () => {
  test("have an owner who migrates and a role that runs, and stay as they are when made again", async () => {
    const passwordsPath = join(folder, "passwords.json");
    const first = await createDatabases(stores.postgres.url, ["catalog", "orders"], passwordsPath);
    const { ownerUrl = "", appUrl = "" } = first.orders ?? {};
    await query(ownerUrl, "create table orders (id text); grant select, insert on orders to orders_app");
    await query(appUrl, "insert into orders values ('one')");
    await expect(query(appUrl, "create table mine (id text)")).rejects.toThrow(
      "permission denied for schema public",
    );
    expect(await createDatabases(stores.postgres.url, ["catalog", "orders"], passwordsPath)).toEqual(first);
    expect(await query(appUrl, "select id from orders")).toEqual([{ id: "one" }]);
    expect(statSync(passwordsPath).mode & 0o077).toBe(0);
  });

  test("are closed to the roles of other services", async () => {
    const access = await createDatabases(
      stores.postgres.url,
      ["catalog", "payments"],
      join(folder, "passwords.json"),
    );
    const trespass = (access.catalog?.appUrl ?? "").replace(/\/catalog$/, "/payments");
    await expect(query(trespass, "select 1")).rejects.toThrow('permission denied for database "payments"');
  });
});

describe("NATS", () => {
  test("keeps a stream's messages over a SIGKILL", async () => {
    const connection = await connect({ servers: stores.nats.url });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: "KEPT", subjects: ["kept.>"] });
    await manager.jetstream().publish("kept.one", "first");
    await connection.close();
    await stores.nats.kill("SIGKILL");
    await stores.nats.start();
    const again = await connect({ servers: stores.nats.url });
    expect((await (await jetstreamManager(again)).streams.info("KEPT")).state.messages).toBe(1);
    await again.close();
  });
});

describe("Redis", () => {
  test("serves, and comes back empty: it holds nothing that cannot be had again", async () => {
    const redis = new Redis(stores.redis.url, { lazyConnect: true });
    await redis.set("key", "value");
    redis.disconnect();
    await stores.redis.kill("SIGKILL");
    await stores.redis.start();
    const again = new Redis(stores.redis.url, { lazyConnect: true });
    expect(await again.get("key")).toBeNull();
    again.disconnect();
  });
});
