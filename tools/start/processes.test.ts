import { describe, expect, test } from "vitest";
import { PORT_OFFSETS, type PortName, portsFrom } from "./ports.ts";
import { databaseEnv, PROCESSES, RANK, type ShopSettings } from "./processes.ts";
import { SERVICE_NAMES } from "./service-names.ts";

const STORE_PORTS = ["postgres", "nats", "redis"] as const;

const settings: ShopSettings = {
  ports: portsFrom(9000),
  dataDir: (name) => `/data/${name}`,
  secrets: {
    clientSecrets: { catalog: "c", inventory: "i", orders: "o", payments: "p", shipping: "s" },
    cardProcessorKey: "card-key",
    cardProcessorWebhookSecret: "webhook-secret",
    carrierKey: "carrier-key",
  },
};
const envOf = (name: string) => PROCESSES.find((entry) => entry.name === name)?.env(settings) ?? {};

describe("ports", () => {
  test("are all different", () => {
    const offsets = Object.values(PORT_OFFSETS);
    expect(new Set(offsets).size).toBe(offsets.length);
  });

  test("are each used by exactly one process or store", () => {
    const used: PortName[] = PROCESSES.flatMap(({ port, readiness }) => [...new Set([port, readiness.port])]);
    expect([...used, ...STORE_PORTS].sort()).toEqual(Object.keys(PORT_OFFSETS).sort());
  });

  test("move together with the base", () => {
    expect(portsFrom(9000)).toMatchObject({
      gateway: 9000,
      catalog: 9001,
      "orders-metrics": 9013,
      redis: 9032,
    });
  });
});

describe("the process table", () => {
  test("names each process once", () => {
    const names = PROCESSES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("ends the gateway before the services, and services before the stand-ins they call", () => {
    const rankOf = (name: string) => PROCESSES.find((entry) => entry.name === name)?.rank ?? Number.NaN;
    expect(rankOf("gateway")).toBeGreaterThan(rankOf("orders"));
    expect(rankOf("orders")).toBeGreaterThan(rankOf("card-processor"));
    expect(rankOf("issuer")).toBeGreaterThan(RANK.store);
  });

  test.each(SERVICE_NAMES)("%s tells its metrics port, its credentials and where the others are", (name) => {
    expect(envOf(name)).toMatchObject({
      METRICS_PORT: `${settings.ports[`${name}-metrics`]}`,
      CLIENT_ID: name,
      CLIENT_SECRET: settings.secrets.clientSecrets[name],
      NATS_URL: "nats://127.0.0.1:9031",
      REDIS_URL: "redis://127.0.0.1:9032",
      TOKEN_ISSUER: "http://127.0.0.1:9022",
      ORDERS_URL: "http://127.0.0.1:9003",
    });
  });

  test("gives outside keys only to the service that needs them", () => {
    const holders = (secret: string) =>
      PROCESSES.filter((entry) => JSON.stringify(entry.env(settings)).includes(secret)).map(
        ({ name }) => name,
      );
    expect(holders("card-key")).toEqual(["card-processor", "payments"]);
    expect(holders("webhook-secret")).toEqual(["card-processor", "payments"]);
    expect(holders("carrier-key")).toEqual(["carrier", "shipping"]);
  });

  test("lets only orders call other services in its own name", () => {
    const clients: Record<string, { scopes: string[] }> = JSON.parse(envOf("issuer").CLIENTS ?? "{}");
    expect(Object.keys(clients).sort()).toEqual([...SERVICE_NAMES].sort());
    const callers = Object.entries(clients).filter(([, { scopes }]) => scopes.length > 0);
    expect(callers.map(([name]) => name)).toEqual(["orders"]);
  });

  test("sends webhooks through the gateway's public door", () => {
    expect(envOf("card-processor").WEBHOOK_URL).toBe("http://127.0.0.1:9000/v1/webhooks/card-processor");
  });

  test("names the runtime role and the owner's apart", () => {
    const access = { appUrl: "postgres://orders_app@x/orders", ownerUrl: "postgres://orders_owner@x/orders" };
    expect(databaseEnv(access)).toEqual({ DATABASE_URL: access.appUrl, DATABASE_OWNER_URL: access.ownerUrl });
  });
});
