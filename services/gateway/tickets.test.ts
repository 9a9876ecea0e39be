import { afterEach, describe, expect, test, vi } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { createTickets, watchPathOf } from "./tickets.ts";

const key = new Secret("a key that all of the shop's gateways share");
const path = watchPathOf("order_1");
const token = "header.payload.signature";
const later = () => Date.now() + 900_000;

afterEach(() => vi.useRealTimers());

const gateway = (lifeMs = 60_000, own: Secret | undefined = key) => createTickets({ key: own, lifeMs });
const invalid = expect.objectContaining({ reason: "TICKET_INVALID", code: 16 });

test("the path of a watch is the one of its contract", () => {
  expect(path).toBe("/v1/orders/order_1:watch");
});

describe("a ticket", () => {
  test("gives the token back, at each gateway that has the key", () => {
    const { ticket } = gateway().issue(path, token, later());
    expect(gateway().open(ticket, path)).toBe(token);
    expect(gateway().open(ticket, path)).toBe(token);
    expect(ticket).toMatch(/^[\w-]+$/);
  });

  test("shows nothing of the token, and is another each time", () => {
    const [one, other] = [gateway().issue(path, token, later()), gateway().issue(path, token, later())];
    expect(one.ticket).not.toBe(other.ticket);
    expect(Buffer.from(one.ticket, "base64url").toString("latin1")).not.toContain("payload");
  });

  test("is good for its own order only", () => {
    const { ticket } = gateway().issue(path, token, later());
    for (const other of [watchPathOf("order_2"), "/v1/orders/order_1", ""])
      expect(() => gateway().open(ticket, other)).toThrow(invalid);
  });

  test("ends with its life, or with its token where that is first", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const nowMs = Date.now();
    const long = gateway().issue(path, token, nowMs + 900_000);
    const short = gateway().issue(path, token, nowMs + 10_000);
    expect([long.expiresAtMs - nowMs, short.expiresAtMs - nowMs]).toEqual([60_000, 10_000]);
    vi.setSystemTime(nowMs + 9_999);
    for (const { ticket } of [long, short]) expect(gateway().open(ticket, path)).toBe(token);
    vi.setSystemTime(nowMs + 10_000);
    expect(() => gateway().open(short.ticket, path)).toThrow(invalid);
    vi.setSystemTime(nowMs + 60_000);
    expect(() => gateway().open(long.ticket, path)).toThrow(invalid);
  });

  test("that was changed in any place, or was never one, opens nothing", () => {
    const { ticket } = gateway().issue(path, token, later());
    const bytes = Buffer.from(ticket, "base64url");
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => gateway().open(changed.toString("base64url"), path)).toThrow(invalid);
    }
    for (const text of ["", "x", "a".repeat(28), "a".repeat(200), "a".repeat(20_000), token, "\0é"])
      expect(() => gateway().open(text, path)).toThrow(invalid);
  });

  test("of another key opens nothing, and without a key each gateway has its own", () => {
    const { ticket } = gateway().issue(path, token, later());
    const other = new Secret("another key, of another shop altogether");
    expect(() => gateway(60_000, other).open(ticket, path)).toThrow(invalid);
    const alone = createTickets({ key: undefined, lifeMs: 60_000 });
    const own = alone.issue(path, token, later());
    expect(alone.open(own.ticket, path)).toBe(token);
    expect(() => createTickets({ key: undefined, lifeMs: 60_000 }).open(own.ticket, path)).toThrow(invalid);
  });
});
