import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isId, lowestId, newId, newUuid } from "./ids.ts";

it("an id tells its kind", () => {
  expect(newId("order")).toMatch(/^order_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  expect(isId("order", newId("order"))).toBe(true);
  expect(isId("payment", newId("order"))).toBe(false);
});

it("a kind of two words is one kind", () => {
  expect(isId("ledger_entry", newId("ledger_entry"))).toBe(true);
  expect(isId("ledger", newId("ledger_entry"))).toBe(false);
});

it.each([
  "",
  "order",
  "order_",
  "order_01h455vb4pex5vsknk084sn02",
  "order_01h455vb4pex5vsknk084sn02qq",
  "order_81h455vb4pex5vsknk084sn02q",
  "order_01h455vb4pex5vsknk084sn02u",
  "order_01H455VB4PEX5VSKNK084SN02Q",
  " order_01h455vb4pex5vsknk084sn02q",
  "order_01h455vb4pex5vsknk084sn02q\n",
])("%j is not spelled like an order's id", (text) => {
  expect(isId("order", text)).toBe(false);
});

it("ten thousand ids made at once are all different", () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newId("order"))).size).toBe(10_000);
  expect(new Set(Array.from({ length: 10_000 }, newUuid)).size).toBe(10_000);
});

it("ids sort in the order they were made, within one millisecond too, whatever their kind", () => {
  const orders = Array.from({ length: 10_000 }, () => newId("order"));
  expect(orders.toSorted()).toEqual(orders);
  const events = Array.from({ length: 10_000 }, newUuid);
  expect(events.toSorted()).toEqual(events);
});

describe("when the clock", () => {
  const startedAt = Date.parse("2030-01-01T00:00:00Z");
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: startedAt }));
  afterEach(() => void vi.useRealTimers());

  it("stands still, ids keep their order", () => {
    const ids = Array.from({ length: 1_000 }, newUuid);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids.map((id) => id.slice(0, 13))).size).toBe(1);
  });

  it("is set back by less than a second, ids keep their order", () => {
    const before = newUuid();
    vi.setSystemTime(startedAt - 999);
    expect(newUuid() > before).toBe(true);
  });

  it("is set back by more, ids follow it", () => {
    const before = newUuid();
    vi.setSystemTime(startedAt - 1_001);
    const after = newUuid();
    expect(after < before).toBe(true);
    vi.setSystemTime(startedAt - 1_000);
    expect(newUuid() > after).toBe(true);
  });
});

it("event ids are UUIDs of version 7", () => {
  expect(newUuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it("the lowest id of a time sorts before what is made from then on, and behind what was made before", async () => {
  const before = newId("order");
  const startedAt = Date.now();
  await expect.poll(() => Date.now()).toBeGreaterThan(startedAt);
  const lowest = lowestId("order", new Date());
  expect(isId("order", lowest)).toBe(true);
  expect([newId("order"), lowest, before].sort()).toEqual([before, lowest, expect.anything()]);
  expect(lowestId("order", new Date(0))).toBe("order_0000000000e008000000000000");
});
