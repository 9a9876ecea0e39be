import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

const needed = {
  ...Object.fromEntries(
    ["CATALOG", "INVENTORY", "ORDERS", "PAYMENTS", "SHIPPING"].map((name) => [
      `${name}_URL`,
      `http://127.0.0.1:1/${name}`,
    ]),
  ),
  PORT: "0",
  METRICS_PORT: "0",
  REDIS_URL: "redis://127.0.0.1:1",
  TOKEN_ISSUER: "http://127.0.0.1:1",
};

test("nothing needs to be said but where everything is", () => {
  const config = readConfig(needed);
  expect(config).toMatchObject({
    allowedHosts: [],
    corsOrigins: [],
    websocketOrigins: [],
    ticketKey: undefined,
    ticketLifeMs: 60_000,
    tls: undefined,
    hstsSeconds: 0,
  });
  expect(config.rates).toEqual({
    ordinary: { perSecond: 50, burst: 100 },
    costly: { perSecond: 10, burst: 20 },
    provider: { perSecond: 500, burst: 1_000 },
    address: { perSecond: 500, burst: 1_000 },
  });
});

test("limits that are not named follow the ordinary one, and stay within what can be configured", () => {
  const small = readConfig({ ...needed, RATE_LIMIT_PER_SECOND: "1", RATE_LIMIT_BURST: "2" }).rates;
  expect(small.costly).toEqual({ perSecond: 1, burst: 1 });
  expect(small.address).toEqual({ perSecond: 10, burst: 20 });
  const large = readConfig({ ...needed, RATE_LIMIT_PER_SECOND: "1000000" }).rates;
  expect(large.address.perSecond).toBe(1_000_000);
  const named = readConfig({ ...needed, RATE_LIMIT_COSTLY_PER_SECOND: "3", RATE_LIMIT_ADDRESS_BURST: "7" });
  expect([named.rates.costly.perSecond, named.rates.address.burst]).toEqual([3, 7]);
});

test("lists are read entry by entry", () => {
  const config = readConfig({
    ...needed,
    ALLOWED_HOSTS: "shop.example, *.shop.example",
    CORS_ORIGINS: "https://shop.example",
    TRUSTED_PROXIES: "10.0.0.0/8",
    DENIED_ADDRESSES: "192.0.2.0/24,2001:db8::/32",
    TICKET_KEY: "k".repeat(32),
  });
  expect(config.allowedHosts).toEqual(["shop.example", "*.shop.example"]);
  expect(config.websocketOrigins).toEqual(["https://shop.example"]);
  expect(config.trustedProxies.has("10.1.2.3")).toBe(true);
  expect(config.deniedAddresses.has("2001:db8::1")).toBe(true);
  expect(config.allowedAddresses.isEmpty).toBe(true);
  expect(config.ticketKey?.reveal()).toBe("k".repeat(32));
  expect(readConfig({ ...needed, WEBSOCKET_ORIGINS: "https://a.example" }).websocketOrigins).toEqual([
    "https://a.example",
  ]);
});

test("all that is wrong is named at once, by variable and entry, and no value is shown", () => {
  const read = () =>
    readConfig({
      ...needed,
      ORDERS_URL: "",
      ALLOWED_HOSTS: "shop.example,https://shop.example",
      CORS_ORIGINS: "*",
      WEBSOCKET_ORIGINS: "https://a.example,,b",
      TRUSTED_PROXIES: "10.0.0.0/33",
      ALLOWED_ADDRESSES: "here",
      DENIED_ADDRESSES: "10.0.0.1,10.0.0/8",
      RATE_LIMIT_COSTLY_BURST: "0",
      TICKET_KEY: "short-and-secret",
      TICKET_LIFE_SECONDS: "1",
      TLS_KEY_FILE: "/keys/shop.pem",
    });
  expect(read).toThrow(
    expect.objectContaining({
      problems: [
        "ORDERS_URL is not set",
        "CORS_ORIGINS entry 1 is no origin such as https://shop.example",
        "ALLOWED_HOSTS entry 2 is no host such as shop.example, shop.example:8443 or *.shop.example",
        "WEBSOCKET_ORIGINS entry 2 is empty; entry 3 is no origin such as https://shop.example",
        "TRUSTED_PROXIES entry 1 has no prefix length from 0 to 32",
        "ALLOWED_ADDRESSES entry 1 is no IP address or CIDR range",
        "DENIED_ADDRESSES entry 2 is no IP address or CIDR range",
        "RATE_LIMIT_COSTLY_BURST is not a whole number from 1 to 1000000",
        "TICKET_KEY has fewer than 32 characters",
        "TICKET_LIFE_SECONDS is not a whole number from 5 to 900",
        "TLS_CERT_FILE is not set",
      ],
    }),
  );
  expect(read).not.toThrow("short-and-secret");
});
