import { expect, test } from "vitest";
import { quote } from "./tariff.ts";

test.each([
  ["DE", 490n, 1_290n],
  ["AT", 990n, 2_490n],
  ["CH", 990n, 2_490n],
  ["FI", 1_490n, 3_490n],
  ["JP", 2_990n, 5_990n],
])("shipping to %s costs what its zone costs", (country, standard, express) => {
  expect(quote(country, "STANDARD")).toMatchObject({ currencyCode: "EUR", amountMinor: standard });
  expect(quote(country, "EXPRESS")).toMatchObject({ currencyCode: "EUR", amountMinor: express });
});

test("express is faster and dearer everywhere", () => {
  for (const country of ["DE", "PL", "GR", "US"]) {
    const [standard, express] = [quote(country, "STANDARD"), quote(country, "EXPRESS")];
    expect(express.days).toBeLessThan(standard.days);
    expect(express.amountMinor).toBeGreaterThan(standard.amountMinor);
  }
});

test.each(["KP", "RU", "AQ", "XX", "", "de", "__proto__"])(
  "a country in no zone is not served: %j",
  (country) => {
    expect(() => quote(country, "STANDARD")).toThrow(
      expect.objectContaining({ reason: "COUNTRY_NOT_SERVED", metadata: { country_code: country } }),
    );
  },
);
