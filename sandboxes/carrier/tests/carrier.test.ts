import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxProcess, startSandboxProcess } from "../../sandbox-process.ts";

const SLOW_MS = 1000;
const WITHHOLD_MS = 1500;
const DESTINATION = { name: "Ada", line1: "Markt 1", city: "Leipzig", postal_code: "04109", country: "DE" };
const BOOKING = {
  reference: "order_1",
  destination: DESTINATION,
  parcels: [{ weight_grams: 1200 }, { weight_grams: 300 }],
  service: "standard",
};

let folder: string;
let carrier: SandboxProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "souk-carrier-"));
  carrier = await startCarrier(folder);
});

afterAll(async () => {
  await carrier.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("booking", () => {
  test("a booked shipment has a price and a tracking number and is found by id and by reference", async () => {
    const { status, body } = await book("book-1", { reference: "order_book" });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      reference: "order_book",
      status: "booked",
      currency: "EUR",
      destination: DESTINATION,
    });
    expect(body.cost_minor).toBe(2 * 490 + (2 + 1) * 60);
    expect(body.tracking_number).toMatch(/^SK[0-9A-F]{32}$/);
    expect((await get(`/v1/shipments/${body.id}`)).body).toEqual(body);
    expect((await get("/v1/shipments?reference=order_book")).body).toEqual({
      shipments: [body],
      has_more: false,
    });
    expect((await get("/v1/shipments?reference=order_none")).body.shipments).toEqual([]);
  });

  test("shipments are listed by when they were booked, newest first and page by page", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push((await book(`list-${n}`, { reference: "order_list" })).body.id);
    const [oldest, middle, newest] = ids;
    const idsOf = async (query: string) => {
      const { body } = await get(`/v1/shipments?${query}`);
      return [body.shipments.map(({ id }: { id: string }) => id), body.has_more];
    };
    const { created } = (await get(`/v1/shipments/${oldest}`)).body;
    expect(await idsOf(`created_from=${created}&limit=2`)).toEqual([[newest, middle], true]);
    const [rest] = await idsOf(`created_from=${created}&limit=2&starting_after=${middle}`);
    expect(rest[0]).toBe(oldest);
    expect(await idsOf("created_to=1000")).toEqual([[], false]);
    expect(await idsOf(`created_from=${created + 3_600}`)).toEqual([[], false]);
    expect(await idsOf("reference=order_list&limit=2")).toEqual([[newest, middle], true]);
    for (const [field, value] of [
      ["limit", 101],
      ["created_from", "today"],
      ["starting_after", "shp_none"],
      ["colour", "red"],
    ]) {
      const refused = await get(`/v1/shipments?${field}=${value}`);
      expect(refused).toMatchObject({ status: 400, body: { error: { code: "invalid_field", field } } });
    }
  });

  test("a quote is the price that booking takes", async () => {
    const destination = { ...DESTINATION, country: "FR" };
    const { body } = await post("/v1/quotes", { destination, parcels: BOOKING.parcels });
    for (const service of ["standard", "express"]) {
      const booked = await book(`quote-${service}`, { destination, service });
      const quote = body.quotes.find((candidate: { service: string }) => candidate.service === service);
      expect(booked.body.cost_minor).toBe(quote.cost_minor);
    }
    expect(body.quotes[0].cost_minor).toBeLessThan(body.quotes[1].cost_minor);
  });

  test.each(["REFUSE", "99999", "99999-1234"])(
    "the postal code %s is refused, also when asked again",
    async (code) => {
      const destination = { ...DESTINATION, postal_code: code };
      const reference = `order_${code}`;
      const first = await book(`refuse-${code}`, { destination, reference });
      expect(first).toMatchObject({ status: 422, body: { error: { code: "address_refused" } } });
      expect(await book(`refuse-${code}`, { destination, reference })).toMatchObject({
        status: 422,
        replayed: "true",
      });
      expect(await kindsOf(`reference=${reference}`)).toEqual(["refused"]);
      expect((await get(`/v1/shipments?reference=${reference}`)).body.shipments).toEqual([]);
    },
  );

  test("a slow address is booked late, and its key is in use until then", async () => {
    const startedAt = performance.now();
    const destination = { ...DESTINATION, postal_code: "SLOW" };
    const both = await Promise.all([1, 2].map(() => book("slow-1", { destination })));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SLOW_MS - 5);
    expect(both.map(({ status }) => status).toSorted()).toEqual([201, 409]);
    const repeat = await book("slow-1", { destination });
    expect(both.map(({ body }) => body.id)).toContain(repeat.body.id);
  });

  test("an address that times out is booked once, its first caller never learns of it, a repeat does", async () => {
    const change = { destination: { ...DESTINATION, postal_code: "TIMEOUT" }, reference: "order_timeout" };
    const unanswered = expect(book("timeout-1", change)).rejects.toThrow("fetch failed");
    await expect.poll(() => kindsOf("reference=order_timeout"), { timeout: 5000 }).toEqual(["booked"]);
    expect(await book("timeout-1", change)).toMatchObject({ status: 201, replayed: "true" });
    await unanswered;
    expect(await kindsOf("reference=order_timeout")).toEqual(["booked"]);
  });
});

describe("idempotency keys", () => {
  test("a repeat gets the same shipment", async () => {
    const first = await book("repeat-1", { reference: "order_repeat" });
    const second = await book("repeat-1", { reference: "order_repeat" });
    expect(second).toEqual({ ...first, replayed: "true" });
    expect(await kindsOf("reference=order_repeat")).toEqual(["booked"]);
  });

  test("the same key with another body is refused, and none at all too", async () => {
    await book("other-body", {});
    const other = await book("other-body", { reference: "order_2" });
    expect(other).toMatchObject({ status: 422, body: { error: { code: "idempotency_key_reused" } } });
    const none = await post("/v1/shipments", BOOKING);
    expect(none).toMatchObject({ status: 400, body: { error: { code: "idempotency_key_missing" } } });
  });

  test("a malformed request does not use up its key", async () => {
    expect((await book("malformed", { service: "teleport" })).status).toBe(400);
    expect((await book("malformed", {})).status).toBe(201);
  });
});

describe("on the way", () => {
  test("a shipment that has not left can be canceled, again without a second entry", async () => {
    const { body } = await book("cancel-1", { reference: "order_cancel" });
    expect(await post(`/v1/shipments/${body.id}/cancel`)).toMatchObject({
      status: 200,
      body: { status: "canceled" },
    });
    expect(await post(`/v1/shipments/${body.id}/cancel`)).toMatchObject({
      status: 200,
      body: { status: "canceled" },
    });
    expect(await kindsOf("reference=order_cancel")).toEqual(["booked", "canceled"]);
    const advanced = await post(`/sandbox/shipments/${body.id}/advance`);
    expect(advanced).toMatchObject({ status: 409, body: { error: { code: "already_ended" } } });
  });

  test("a shipment that has left cannot be canceled, and tracking tells its way", async () => {
    const { body } = await book("track-1", {});
    await post(`/sandbox/shipments/${body.id}/advance`);
    const refused = await post(`/v1/shipments/${body.id}/cancel`);
    expect(refused).toMatchObject({ status: 409, body: { error: { code: "already_dispatched" } } });
    await post(`/sandbox/shipments/${body.id}/advance`);
    await post(`/sandbox/shipments/${body.id}/advance`);
    const tracking = (await get(`/v1/tracking/${body.tracking_number}`)).body;
    expect(tracking.status).toBe("delivered");
    const seen = tracking.events.map(({ status }: { status: string }) => status);
    expect(seen).toEqual(["booked", "dispatched", "in_transit", "delivered"]);
  });
});

describe("refusals", () => {
  test.each([
    ["service", { service: "teleport" }],
    ["parcels", { parcels: [] }],
    ["parcels[0].weight_grams", { parcels: [{ weight_grams: -5 }] }],
    ["destination.city", { destination: { ...DESTINATION, city: "" } }],
    ["destination.country", { destination: { ...DESTINATION, country: "Germany" } }],
    ["reference", { reference: 7 }],
    ["colour", { colour: "red" }],
  ])("a wrong %s is refused by its name", async (field, change) => {
    const refused = await book(`wrong-${field}`, change);
    expect(refused).toMatchObject({ status: 400, body: { error: { code: "invalid_field", field } } });
  });

  test("a wrong key is 401, unknown things are 404, health needs no key", async () => {
    const wrong = await fetch(`${carrier.url}/v1/shipments/x`, {
      headers: { authorization: "Bearer other" },
    });
    expect(wrong.status).toBe(401);
    for (const path of ["/v1/shipments/shp_none", "/v1/tracking/SK1", "/v2/shipments/x", "/"]) {
      expect((await get(path)).status).toBe(404);
    }
    expect((await post("/v1/shipments/shp_none/cancel")).status).toBe(404);
    expect((await fetch(`${carrier.url}/health`)).status).toBe(200);
  });

  test("a body that is too long is 413, one that is no JSON 400", async () => {
    expect((await book("long", { reference: "x".repeat(70_000) })).status).toBe(413);
    const headers = { authorization: "Bearer carrier_test_souk", "idempotency-key": "no-json" };
    const answer = await fetch(`${carrier.url}/v1/shipments`, { method: "POST", headers, body: "{" });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: "malformed_body" } });
  });
});

test("SIGKILL loses no answered booking, no step and no idempotency answer", async () => {
  const own = await mkdtemp(join(tmpdir(), "souk-carrier-"));
  const first = await startCarrier(own);
  const booked = await Promise.all(Array.from({ length: 30 }, (_, n) => book(`kill-${n}`, {}, first)));
  const [kept, left] = booked.map(({ body }) => body);
  const dispatched = (await post(`/sandbox/shipments/${left.id}/advance`, undefined, {}, first)).body;
  await first.stop("SIGKILL");
  const second = await startCarrier(own);
  expect((await get(`/v1/shipments/${kept.id}`, second)).body).toEqual(kept);
  expect((await get(`/v1/shipments/${left.id}`, second)).body).toEqual(dispatched);
  for (const [n, { body }] of booked.entries()) {
    expect(await book(`kill-${n}`, {}, second)).toEqual({ status: 201, body, replayed: "true" });
  }
  expect(await kindsOf("kind=booked", second)).toHaveLength(30);
  expect(await second.stop()).toBe(0);
  await rm(own, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: a test reads what the wire brings.
type Answer = { status: number; body: any; replayed: string | null };

function startCarrier(dataFolder: string): Promise<SandboxProcess> {
  const env = { DATA_DIR: dataFolder, SLOW_MS: String(SLOW_MS), WITHHOLD_MS: String(WITHHOLD_MS) };
  return startSandboxProcess("carrier", env);
}

function book(key: string, change: object, to = carrier): Promise<Answer> {
  return post("/v1/shipments", { ...BOOKING, ...change }, { "idempotency-key": key }, to);
}

async function post(
  path: string,
  body?: object,
  headers: Record<string, string> = {},
  to = carrier,
): Promise<Answer> {
  const answer = await fetch(`${to.url}${path}`, {
    method: "POST",
    headers: { authorization: "Bearer carrier_test_souk", ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return {
    status: answer.status,
    body: await answer.json(),
    replayed: answer.headers.get("idempotent-replayed"),
  };
}

async function get(path: string, from = carrier): Promise<Answer> {
  const answer = await fetch(`${from.url}${path}`, {
    headers: { authorization: "Bearer carrier_test_souk" },
  });
  return { status: answer.status, body: await answer.json(), replayed: null };
}

async function kindsOf(filter: string, from = carrier): Promise<string[]> {
  const headers = { authorization: "Bearer carrier_test_souk" };
  const text = await (await fetch(`${from.url}/sandbox/ledger?${filter}`, { headers })).text();
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line).kind);
}
