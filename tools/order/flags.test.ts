import { resolve } from "node:path";
import { expect, test } from "vitest";
import { CARDS, endOf, ORDER_HELP, readOrderFlags } from "./flags.ts";

test("without flags one order is paid with a card that is accepted", () => {
  const flags = {
    count: 1,
    card: "accepted",
    cancel: false,
    json: false,
    help: false,
    dataDir: resolve(".souk"),
  };
  expect(readOrderFlags([], {})).toEqual(flags);
});

test("flags say how many orders, which card, and for whom to print", () => {
  const args = ["--count", "20", "--card", "declined", "--json", "--data-dir", "/tmp/shop"];
  expect(readOrderFlags(args, {})).toMatchObject({
    count: 20,
    card: "declined",
    json: true,
    dataDir: "/tmp/shop",
  });
});

test.each(["0", "-1", "1.5", "many", "10001"])("%s orders cannot be placed", (count) => {
  expect(() => readOrderFlags([`--count=${count}`], {})).toThrow(`not "${count}"`);
});

test.each(["gold", "constructor", ""])('there is no card "%s"', (card) => {
  expect(() => readOrderFlags([`--card=${card}`], {})).toThrow("--card is one of accepted, declined");
});

test("an order that is to be cancelled has to be paid first, and ends cancelled by its customer", () => {
  expect(endOf(readOrderFlags(["--cancel"], {}))).toEqual({
    status: "CANCELLED",
    cancelReason: "CUSTOMER_CANCELLED",
  });
  expect(endOf(readOrderFlags(["--card", "declined"], {}))).toEqual(CARDS.declined.end);
  expect(() => readOrderFlags(["--cancel", "--card", "declined"], {})).toThrow(
    "--card declined does not pay",
  );
});

test("the help names every card", () => {
  for (const card of Object.keys(CARDS)) expect(ORDER_HELP).toContain(card);
});
