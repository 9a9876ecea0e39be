import { expect, test } from "vitest";
import { checkExpectedTotal } from "./expected-total.ts";

const euros = (amountMinor: bigint) => ({ currencyCode: "EUR", amountMinor });

test("an order that costs what its customer was shown is taken, and so is one of who was shown nothing", () => {
  for (const expected of [euros(1_740n), undefined]) checkExpectedTotal(euros(1_740n), expected);
});

test.each([1_739n, 1_741n, 0n])(
  "an order of 17.40 that was shown for %i cents is refused, with what it costs",
  (shown) => {
    expect(() => checkExpectedTotal(euros(1_740n), euros(shown))).toThrow(
      expect.objectContaining({
        reason: "TOTAL_DIFFERS",
        metadata: { total_currency: "EUR", total_minor: "1740" },
      }),
    );
  },
);

test("an order that was shown in another currency is refused, though the number is the same", () => {
  const dollars = { currencyCode: "USD", amountMinor: 1_740n };
  expect(() => checkExpectedTotal(euros(1_740n), dollars)).toThrow(
    expect.objectContaining({ reason: "CURRENCY_MISMATCH" }),
  );
});
