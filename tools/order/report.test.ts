import { expect, test } from "vitest";
import { CARDS } from "./flags.ts";
import { formatMoney, isAsAsked, summarize, wordsFor } from "./report.ts";

const confirmed = { status: "CONFIRMED", cancelReason: "" };
const declined = { status: "CANCELLED", cancelReason: "CARD_DECLINED" };
const outOfStock = { status: "CANCELLED", cancelReason: "OUT_OF_STOCK" };

test("a good card is asked to end in a confirmed order", () => {
  expect(isAsAsked(CARDS.accepted.end, confirmed)).toBe(true);
  expect(isAsAsked(CARDS.slow.end, confirmed)).toBe(true);
  expect(isAsAsked(CARDS.accepted.end, declined)).toBe(false);
});

test("a declined card is asked to end in an order cancelled for just that reason", () => {
  expect(isAsAsked(CARDS.declined.end, declined)).toBe(true);
  expect(isAsAsked(CARDS.declined.end, outOfStock)).toBe(false);
  expect(isAsAsked(CARDS.declined.end, confirmed)).toBe(false);
  expect(isAsAsked(CARDS.insufficient.end, declined)).toBe(false);
});

test("a state is told in words", () => {
  expect(wordsFor({ status: "PENDING", step: "STOCK_RESERVED", cancelReason: "" })).toBe("stock reserved");
  expect(wordsFor({ step: "PAYMENT_CAPTURED", ...confirmed })).toBe("CONFIRMED");
  expect(wordsFor({ step: "UNDOING", ...declined })).toBe("CANCELLED (CARD_DECLINED)");
});

test("an amount has its currency's digits", () => {
  expect(formatMoney({ amountMinor: "1290", currencyCode: "EUR" })).toBe("12.90 EUR");
  expect(formatMoney({ amountMinor: "1290", currencyCode: "JPY" })).toBe("1290 JPY");
});

test("the summary counts the orders that ended as asked for", () => {
  const report = { orderId: "o", product: "p", quantity: 1, total: undefined, steps: [], ...declined };
  const reports = [
    { ...report, asAsked: true, durationMs: 200 },
    { ...report, asAsked: true, durationMs: 400 },
    { ...report, asAsked: false, durationMs: 900 },
  ];
  expect(summarize(reports, CARDS.declined.end)).toBe(
    "2 of 3 ended as asked for, CANCELLED (CARD_DECLINED); median 0.40 s",
  );
});
