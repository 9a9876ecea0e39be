import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { writePortsFile } from "../tools/start/ports-file.ts";
import { shopFolder } from "../tools/start/shop-folder.ts";
import { compileCacheDir } from "./processes.ts";
import { openShop } from "./shop.ts";

const shop = openShop();
const program = join(import.meta.dirname, "../tools/souk.ts");
const execute = promisify(execFile);

beforeAll(() => {
  const { folder, ports } = shop().processes;
  writePortsFile(shopFolder(folder), ports);
});

/** Runs `npm run souk` as an operator does; `env` beside what everybody has. */
async function souk(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const surroundings = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: compileCacheDir,
    SOUK_DATA_DIR: shop().processes.folder,
    ...env,
  };
  const answer = await execute(process.execPath, [program, ...args], {
    timeout: 40_000,
    env: surroundings,
  }).catch((error) => error);
  return {
    code: (answer.code ?? 0) as number,
    stdout: String(answer.stdout),
    stderr: String(answer.stderr),
    entries: () => linesOf(String(answer.stdout)).map((line) => JSON.parse(line)),
  };
}

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");

/** Sets a letter aside in inventory, as its consumers do. */
async function setAside(): Promise<string> {
  const client = new Client({ connectionString: shop().processes.databases.inventory?.ownerUrl });
  await client.connect();
  const deadLetterId = newId("letter");
  await client.query(
    `insert into kit.dead_letters (dead_letter_id, consumer, event_id, payload_digest, stream, subject, event_type, aggregate_id,
       aggregate_version, reason, message, deliveries, headers, payload, history, created_at)
     values ($1, 'inventory_order_confirmed', $1, '', 'souk_orders_v1', 'souk.orders.v1.OrderConfirmed',
       'souk.orders.v1.OrderConfirmed', 'order_x', 2, 'EVENT_UNREADABLE', 'It cannot be decoded.', 1, '{"ce-id": "1"}', '\\xff',
       '[{"at": "2026-01-02T03:04:05.000Z", "actor": "inventory", "action": "set aside", "detail": ""}]', now())`,
    [deadLetterId],
  );
  await client.end();
  return deadLetterId;
}

describe("dead letters", () => {
  test("of all services are listed side by side, for people and for scripts", async () => {
    const deadLetterId = await setAside();
    const [text, json] = await Promise.all([souk(["dlq", "list"]), souk(["dlq", "list", "--json"])]);
    expect([text.code, text.stderr]).toEqual([0, ""]);
    expect(linesOf(text.stdout).find((line) => line.includes(deadLetterId))).toMatch(/inventory .*waiting/);
    const found = json.entries().find((entry) => entry.deadLetterId === deadLetterId);
    expect(found).toMatchObject({ service: "inventory", status: "DEAD_LETTER_STATUS_WAITING" });
    const elsewhere = await souk(["dlq", "list", "--service", "orders"]);
    expect([elsewhere.code, elsewhere.stdout]).toEqual([0, "No such dead letter.\n"]);
  });

  test("are shown wherever they lie, with what was done with them", async () => {
    const deadLetterId = await setAside();
    const { code, stdout } = await souk(["dlq", "show", deadLetterId]);
    expect(code).toBe(0);
    for (const fact of [deadLetterId, "inventory", "order_x, version 2", "ce-id", "set aside"]) {
      expect(stdout).toContain(fact);
    }
    const json = await souk(["dlq", "show", deadLetterId, "--json"]);
    expect(json.entries()).toMatchObject([{ deadLetterId, history: [{ actor: "inventory" }] }]);
  });
});

describe("what is refused", () => {
  test.each([
    ["a letter that is not there", ["dlq", "show", newId("letter")], "DEAD_LETTER_NOT_FOUND"],
    ["an id that is none", ["dlq", "show", "letter"], "VALIDATION_FAILED"],
    ["a service that is not there", ["dlq", "list", "--service", "weather"], "SERVICE_UNKNOWN"],
  ])("%s is said with its reason, and with exit code 1", async (_, args, reason) => {
    const { code, stdout, stderr } = await souk(args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(reason);
    expect(stderr).not.toContain("    at ");
  });

  test("a token that is not an operator's is refused by the scope it lacks", async () => {
    const { token } = await shop().person();
    const { code, stderr } = await souk(["dlq", "list"], { SOUK_TOKEN: token });
    expect(code).toBe(1);
    expect(stderr).toContain("SCOPE_MISSING: The token lacks the scope ops:dead-letters");
  });

  test("a gateway that is away is named", async () => {
    const { code, stderr } = await souk(["dlq", "list", "--gateway", "http://127.0.0.1:9"]);
    expect(code).toBe(1);
    expect(stderr).toContain("http://127.0.0.1:9 does not answer");
  });

  test("wrong use has exit code 2 and calls nobody", async () => {
    const { code, stdout, stderr } = await souk(["dlq", "list", "--status", "lost"], {
      SOUK_GATEWAY: "http://127.0.0.1:9",
    });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("--status is one of waiting, replayed, discarded");
  });
});
