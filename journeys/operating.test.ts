import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { newId } from "#kit/ids/ids.ts";
import { eventually } from "#kit/testing/testing.ts";
import { writePortsFile } from "../tools/start/ports-file.ts";
import { urlOf } from "../tools/start/processes.ts";
import { shopFolder } from "../tools/start/shop-folder.ts";
import { leaveEarly, setAside } from "./operator-routes.ts";
import { compileCacheDir } from "./processes.ts";
import { buy, followToEnd, openShop, placeOrder, readOrder } from "./shop.ts";

/** The moment before the money is taken lasts five seconds, once: long enough for a parcel to leave. */
const beforeCapture = "saga:checkout:capture:before-call=stall";
const shop = openShop({ orders: { FAILPOINTS: beforeCapture, SAGA_LEASE_MS: "20000" } });
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

describe("dead letters", () => {
  let deadLetterId: string;
  beforeAll(async () => {
    deadLetterId = await setAside(shop());
  });

  test("of all services are listed side by side, for people and for scripts", async () => {
    const [text, json] = await Promise.all([souk(["dlq", "list"]), souk(["dlq", "list", "--json"])]);
    expect([text.code, text.stderr]).toEqual([0, ""]);
    expect(linesOf(text.stdout).find((line) => line.includes(deadLetterId))).toMatch(/inventory .*waiting/);
    const found = json.entries().find((entry) => entry.deadLetterId === deadLetterId);
    expect(found).toMatchObject({ service: "inventory", status: "DEAD_LETTER_STATUS_WAITING" });
    const elsewhere = await souk(["dlq", "list", "--service", "orders"]);
    expect([elsewhere.code, elsewhere.stdout]).toEqual([0, "No such dead letter.\n"]);
  });

  test("are shown wherever they lie", async () => {
    const { code, stdout } = await souk(["dlq", "show", deadLetterId]);
    expect(code).toBe(0);
    for (const fact of [deadLetterId, "inventory", "waiting"]) expect(stdout).toContain(fact);
    const json = await souk(["dlq", "show", deadLetterId, "--json"]);
    expect(json.entries()).toMatchObject([{ service: "inventory", deadLetterId }]);
  });

  test("are replayed, which tells what became of them, and discarded with a reason", async () => {
    const replayed = await souk(["dlq", "replay", deadLetterId]);
    expect([replayed.code, replayed.stderr]).toEqual([0, ""]);
    expect(replayed.stdout).toMatch(/^outcome +already-applied\n.*status +replayed/s);
    const again = await souk(["dlq", "discard", deadLetterId, "--why", "a test"]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("DEAD_LETTER_SETTLED")]);
    const other = await setAside(shop());
    const discarded = await souk(["dlq", "discard", other, "--why", "a test", "--json"]);
    expect(discarded.entries()).toMatchObject([{ status: "DEAD_LETTER_STATUS_DISCARDED" }]);
    const all = await souk(["dlq", "replay-all", "--json"]);
    expect(all.entries()).toContainEqual({ service: "inventory", replayed: 0, failed: 0, remaining: 0 });
  });

  test("are not the only events that wait: those that came too early are listed, and let go", async () => {
    const eventId = await leaveEarly(shop());
    const listed = await souk(["dlq", "parked"]);
    expect(listed.stdout).toContain(eventId);
    const consumer = "inventory_souk_orders_v1";
    const skipped = await souk(["dlq", "skip", eventId, "--consumer", consumer, "--why", "a test", "--json"]);
    expect(skipped.entries()).toEqual([{ service: "inventory", released: 1 }]);
  });
});

describe("an order whose parcel has left when its card is declined", () => {
  /** Moves a parcel on, as the carrier's people do. */
  async function dispatch(orderId: string) {
    const { ports, secrets } = shop().processes;
    const [booked] = await eventually(async () => {
      const lines = await shop().carrierLedger(orderId);
      expect(lines).toHaveLength(1);
      return lines as unknown as { shipment: string }[];
    });
    const url = `${urlOf(ports.carrier)}/sandbox/shipments/${booked?.shipment}/advance`;
    const headers = { authorization: `Bearer ${secrets.carrierKey}` };
    const { status } = await fetch(url, { method: "POST", headers, signal: AbortSignal.timeout(5_000) });
    expect(status).toBe(200);
  }

  test("waits for an operator, who sees why, and settles it", async () => {
    const [buyer, goods] = await Promise.all([shop().person(), shop().sell(2)]);
    const { orderId } = await placeOrder(shop(), buyer, { goods, card: "pm_card_captureDeclined" });
    await dispatch(orderId);
    const [parked] = await eventually(async () => {
      const { entries } = await souk(["saga", "list", "--status", "parked", "--subject", orderId, "--json"]);
      expect(entries()).toHaveLength(1);
      return entries();
    }, 20_000);
    expect(parked).toMatchObject({ service: "orders", step: "book", reason: "SHIPMENT_ALREADY_DISPATCHED" });
    expect((await readOrder(shop(), buyer, orderId)).status).toBe("ORDER_STATUS_PENDING");

    const { sagaId } = parked;
    const shown = await souk(["saga", "show", sagaId]);
    for (const fact of [sagaId, orderId, "parked", "SHIPMENT_ALREADY_DISPATCHED", "capture (pivot)"]) {
      expect(shown.stdout).toContain(fact);
    }
    expect((await souk(["saga", "list", "--status", "parked"])).stdout).toContain(sagaId);

    const why = ["--why", "The carrier takes it back."];
    const resolved = await souk(["saga", "resolve", sagaId, "--as", "step-done", ...why]);
    expect([resolved.code, resolved.stderr]).toEqual([0, ""]);
    const end = await followToEnd(shop(), buyer, orderId);
    expect(end).toMatchObject({ status: "CANCELLED", cancelReason: "CARD_DECLINED" });
    expect((await shop().processorLedger(orderId)).at(-1)?.kind).toBe("canceled");
    expect(await shop().stock(goods)).toEqual({ onHand: 2, reserved: 0 });

    const again = await souk(["saga", "retry", sagaId]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("SAGA_NOT_PARKED");
    expect((await souk(["saga", "list", "--status", "parked"])).stdout).toBe("No such saga.\n");
  });
});

test("events are sent again since a time; what consumers have applied stays as it is", async () => {
  const [buyer, goods] = await Promise.all([shop().person(), shop().sell(3)]);
  await buy(shop(), buyer, { goods });
  const sold = { onHand: 2, reserved: 0 };
  await eventually(async () => expect(await shop().stock(goods)).toEqual(sold));
  const { code, entries, stderr } = await souk(["outbox", "republish", "--since", "1h", "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  const counts = new Map(entries().map(({ service, events }) => [service, Number(events)]));
  expect([...counts.keys()].sort()).toEqual(["catalog", "inventory", "orders", "payments", "shipping"]);
  expect(counts.get("orders")).toBeGreaterThanOrEqual(2);
  // The next order's events come behind those that were sent again.
  await buy(shop(), buyer, { goods });
  await eventually(async () => expect(await shop().stock(goods)).toEqual({ onHand: 1, reserved: 0 }));
  const old = await souk(["outbox", "republish", "--since", "2020-01-01T00:00:00Z", "--service", "orders"]);
  expect([old.code, old.stderr]).toEqual([1, expect.stringContaining("REPUBLISH_TOO_OLD")]);
});

describe("what is refused", () => {
  test.each([
    ["a letter that is not there", ["dlq", "show", newId("letter")], "DEAD_LETTER_NOT_FOUND"],
    ["an id that is none", ["dlq", "show", "letter"], "VALIDATION_FAILED"],
    ["which field that is", ["saga", "show", "nonsense"], "\n  sagaId: "],
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
