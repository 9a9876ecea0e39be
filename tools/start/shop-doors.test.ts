import { expect, test } from "vitest";
import { findShopDoors } from "./shop-doors.ts";

const gatewayUrl = "http://127.0.0.1:8080";
const issuerUrl = "http://127.0.0.1:8102";

test("a shop elsewhere is named by its two doors", () => {
  const env = { SOUK_GATEWAY_URL: gatewayUrl, SOUK_ISSUER_URL: issuerUrl };
  expect(findShopDoors("/nowhere", env)).toEqual({ gatewayUrl, issuerUrl });
});

test("one door without the other is refused instead of mixed with another shop's", () => {
  expect(() => findShopDoors("/nowhere", { SOUK_GATEWAY_URL: gatewayUrl })).toThrow(/together/);
});

test("without names the shop of the data folder is looked for", () => {
  expect(() => findShopDoors("/nowhere", {})).toThrow("No shop is ready in /nowhere");
});
