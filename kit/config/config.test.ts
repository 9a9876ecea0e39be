import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  ConfigError,
  envReader,
  processEnv,
  readProcessConfig,
  readServiceConfig,
  Secret,
} from "./config.ts";

const gateway = {
  PORT: "8080",
  METRICS_PORT: "8090",
  REDIS_URL: "redis://127.0.0.1:8112",
  TOKEN_ISSUER: "http://127.0.0.1:8102",
};
const service = {
  ...gateway,
  DATABASE_URL: "postgres://orders_app:pw1@127.0.0.1/orders",
  DATABASE_OWNER_URL: "postgres://orders_owner:pw2@127.0.0.1/orders",
  NATS_URL: "nats://127.0.0.1:8111",
  CLIENT_ID: "orders",
  CLIENT_SECRET: "pw3",
};

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("the config of a process", () => {
  it("has a default for everything that has a sensible one", () => {
    expect(readProcessConfig(gateway)).toEqual({
      environment: "local",
      host: "127.0.0.1",
      port: 8080,
      metricsPort: 8090,
      logLevel: "info",
      redisUrl: "redis://127.0.0.1:8112",
      tokenIssuer: "http://127.0.0.1:8102",
      otlpEndpoint: undefined,
      drainTimeoutMs: 10_000,
    });
  });

  it("of a service knows its stores and credentials too", () => {
    const config = readServiceConfig({ ...service, OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317" });
    expect(config).toMatchObject({
      databasePoolSize: 10,
      natsUrl: "nats://127.0.0.1:8111",
      clientId: "orders",
      eventPrefix: "souk",
      sagaLeaseMs: 10_000,
      otlpEndpoint: "http://collector:4317",
    });
    expect(config.databaseUrl.reveal()).toBe(service.DATABASE_URL);
    expect(config.databaseOwnerUrl?.reveal()).toBe(service.DATABASE_OWNER_URL);
    expect(config.clientSecret.reveal()).toBe("pw3");
  });

  it("cannot be changed", () => {
    const config: { host: string } = readProcessConfig(gateway);
    expect(() => {
      config.host = "0.0.0.0";
    }).toThrow(TypeError);
  });

  it("names every variable that is missing or wrong at once, and tells no value", () => {
    const env = {
      ...service,
      PORT: "70000",
      METRICS_PORT: "",
      LOG_LEVEL: "loud",
      REDIS_URL: "hunter2",
      CLIENT_SECRET: undefined,
    };
    expect(problemsOf(() => readServiceConfig(env))).toEqual([
      "PORT is not a whole number from 0 to 65535",
      "METRICS_PORT is not set",
      "LOG_LEVEL is not one of trace, debug, info, warn, error, fatal, silent",
      "REDIS_URL is not an absolute URL",
      "CLIENT_SECRET is not set",
    ]);
    expect(() => readServiceConfig(env)).toThrow(/METRICS_PORT is not set\n {2}LOG_LEVEL/);
  });
});

describe("a reader", () => {
  it.each(["", "1.5", "1e3", "0x10", " 7", "11", "-1", "9".repeat(40)])(
    "takes %j for no whole number from 0 to 10",
    (text) => {
      const reader = envReader({ N: text });
      reader.integer("N", { min: 0, max: 10 });
      expect(problemsOf(() => reader.check({}))).toHaveLength(1);
    },
  );

  it("takes the bounds themselves", () => {
    const reader = envReader({ LOW: "-3", HIGH: "10" });
    const options = { min: -3, max: 10 };
    const read = { low: reader.integer("LOW", options), high: reader.integer("HIGH", options) };
    expect(reader.check(read)).toEqual({ low: -3, high: 10 });
  });

  it("reads flags as true or false and nothing else", () => {
    const reader = envReader({ ON: "true", OFF: "false", ODD: "yes" });
    expect([reader.flag("ON", false), reader.flag("OFF", true), reader.flag("UNSET", true)]).toEqual([
      true,
      false,
      true,
    ]);
    reader.flag("ODD", true);
    expect(problemsOf(() => reader.check({}))).toEqual(["ODD is not one of true, false"]);
  });

  it("reads the process's own environment", () => {
    expect(processEnv().PATH).toBe(process.env.PATH);
  });
});

describe("a secret", () => {
  const secret = new Secret("hunter2");

  it("prints as [secret] wherever it is printed", () => {
    const prints = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true }),
    ];
    expect(prints.join()).not.toContain("hunter2");
    expect(prints.every((print) => print.includes("[secret]"))).toBe(true);
  });

  it("is told on demand", () => {
    expect(secret.reveal()).toBe("hunter2");
  });

  it("reads lists entry by entry, and says which of them is wrong without showing it", () => {
    const faultOf = (entry: string) => (entry.startsWith("a") ? undefined : "does not begin with a");
    const read = (LIST: string) => {
      const reader = envReader({ LIST });
      return reader.check({ list: reader.list("LIST", faultOf) }).list;
    };
    expect([read(""), read("ab"), read("ab, ac")]).toEqual([[], ["ab"], ["ab", "ac"]]);
    expect(problemsOf(() => read("ab,,hunter2"))).toEqual([
      "LIST entry 2 is empty; entry 3 does not begin with a",
    ]);
  });

  it("can ask for secrets of some length, also for those that may be unset", () => {
    const read = (KEY: string) => {
      const reader = envReader({ KEY });
      return reader.check({ key: reader.optionalSecret("KEY", 8) }).key?.reveal();
    };
    expect([read(""), read("long enough")]).toEqual([undefined, "long enough"]);
    expect(problemsOf(() => read("short"))).toEqual(["KEY has fewer than 8 characters"]);
  });
});
