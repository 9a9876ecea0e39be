import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Environment } from "#kit/config/config.ts";
import { SERVICE_NAMES } from "../tools/start/service-names.ts";

// What can be said of the manifests without rendering them; deploy/tests has the rest.
const deploy = import.meta.dirname;
const read = (path: string) => readFileSync(join(deploy, path), "utf8");
const services = globSync("services/*/", { cwd: resolve(deploy, "..") })
  .map((path) => basename(path))
  .sort();

interface Generator {
  readonly name: string;
  readonly literals?: readonly string[];
}

const pair = (line: string) => {
  const [, name = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
  return [name, value] as const;
};
const settings = (path: string) =>
  Object.fromEntries(
    read(path)
      .split("\n")
      .filter((line) => /^\w/.test(line))
      .map(pair),
  );
const { secretGenerator } = parse(read("components/secrets-dev/kustomization.yaml")) as {
  secretGenerator: readonly Generator[];
};
const secretNamed = (name: string) =>
  Object.fromEntries((secretGenerator.find((one) => one.name === name)?.literals ?? []).map(pair));

/** The variables of a service's pod, as its Deployment composes them. */
function environmentOf(service: string): Environment {
  const deployment = read(`base/services/${service}/deployment.yaml`);
  const secrets = Array.from(
    deployment.matchAll(/secretRef: \{ name: ([\w-]+) \}/g),
    ([, name = ""]) => name,
  );
  return Object.assign(
    settings("base/surroundings.env"),
    settings(`base/services/${service}/config.env`),
    ...secrets.map(secretNamed),
  );
}

async function readConfigOf(service: string, env: Environment): Promise<Record<string, unknown>> {
  const module = (await import(`../services/${service}/config.ts`)) as {
    readConfig(env: Environment): Record<string, unknown>;
  };
  return module.readConfig(env);
}

describe("what a pod is told", () => {
  test.each(services)("is all that the service asks for: %s", async (service) => {
    const config = await readConfigOf(service, environmentOf(service));
    expect(config).toMatchObject({ host: "0.0.0.0", metricsPort: 9090, environment: "production" });
  });

  test.each(services)("is missed by the service when it is gone: %s", async (service) => {
    const { REDIS_URL: _gone, ...rest } = environmentOf(service);
    await expect(readConfigOf(service, rest)).rejects.toThrow("REDIS_URL is not set");
  });

  test.each(SERVICE_NAMES)(
    "does not hold the owner's password, which only the migrating Job has: %s",
    (service) => {
      expect(environmentOf(service)).not.toHaveProperty("DATABASE_OWNER_URL");
      expect(read(`base/services/${service}/migrate-job.yaml`)).toContain(`${service}-database-owner`);
    },
  );

  test.each(SERVICE_NAMES)("of passwords that everybody knows is the same everywhere: %s", (service) => {
    const upper = service.toUpperCase();
    const postgres = secretNamed("postgres");
    const passwordIn = (url: string | undefined) => new URL(url ?? "").password;
    expect(passwordIn(environmentOf(service).DATABASE_URL)).toBe(postgres[`${upper}_APP_PASSWORD`]);
    const { DATABASE_OWNER_URL } = secretNamed(`${service}-database-owner`);
    expect(passwordIn(DATABASE_OWNER_URL)).toBe(postgres[`${upper}_OWNER_PASSWORD`]);
    const clients = JSON.parse(read("components/secrets-dev/clients.json"));
    expect(clients[service].secret).toBe(environmentOf(service).CLIENT_SECRET);
  });
});

test("every service has the same files in deploy/base/services, the gateway all but a database's", () => {
  const filesOf = (service: string) => globSync("*", { cwd: join(deploy, "base/services", service) }).sort();
  expect(globSync("*", { cwd: join(deploy, "base/services") }).sort()).toEqual(services);
  const all = [
    "config.env",
    "deployment.yaml",
    "kustomization.yaml",
    "migrate-job.yaml",
    "pdb.yaml",
    "service.yaml",
    "serviceaccount.yaml",
  ];
  for (const service of SERVICE_NAMES) expect(filesOf(service)).toEqual(all);
  expect(filesOf("gateway")).toEqual(all.filter((file) => file !== "migrate-job.yaml"));
});

describe("every alert", () => {
  interface Rules {
    readonly spec: {
      readonly groups: readonly {
        readonly rules: readonly { readonly alert?: string; readonly annotations?: { runbook?: string } }[];
      }[];
    };
  }
  interface Trial {
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly object[];
    }[];
  }
  const { spec } = parse(read("components/observability/rules.yaml")) as Rules;
  const alerts = spec.groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);

  test("has a page that says what to do", () => {
    expect(alerts.length).toBeGreaterThan(15);
    const pages = alerts.map(({ annotations }) => annotations?.runbook ?? "none");
    expect(pages.filter((page) => !existsSync(join(deploy, "..", page)))).toEqual([]);
    const text = readFileSync(join(deploy, "../docs/runbooks/service-fails.md"), "utf8");
    const named = alerts.filter(({ annotations }) => annotations?.runbook?.endsWith("service-fails.md"));
    expect(named.filter(({ alert }) => !text.includes(`\`${alert}\``))).toEqual([]);
  });

  test("is seen to fire by promtool, and all but those of a whole hour to be silent before", () => {
    const { tests } = parse(read("components/observability/rules.test.yaml")) as { tests: readonly Trial[] };
    const trials = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
    const seen = (fires: boolean) =>
      trials.filter(({ exp_alerts }) => exp_alerts.length > 0 === fires).map(({ alertname }) => alertname);
    const names = alerts.map(({ alert = "" }) => alert);
    expect(names.filter((name) => !seen(true).includes(name))).toEqual([]);
    // Of those two, other services in the same trial stay below.
    const silent = [...seen(false), "ErrorBudgetBurnsFast", "ErrorBudgetBurns"];
    expect(names.filter((name) => !silent.includes(name))).toEqual([]);
  });
});

test("dashboards and alerts ask only for metrics that exist", () => {
  const telemetry = readFileSync(join(deploy, "../kit/telemetry/telemetry.ts"), "utf8");
  const own = new Set(telemetry.match(/"[a-z]+(_[a-z]+)+"/g)?.map((name) => name.slice(1, -1)));
  const foreign = /^(nodejs_|process_|cnpg_|container_|kube_)/;
  const texts = ["rules.yaml", "dashboards/shop.json", "dashboards/service.json"].map((file) =>
    read(`components/observability/${file}`),
  );
  const asked = texts.flatMap(
    (text) =>
      text.match(
        /\b(?:rpc|http|outbox|consumer|dead|parked|sagas|reconciliation)_[a-z_0-9]+(?=\{|\[|\)| |")/g,
      ) ?? [],
  );
  const known = (name: string) => own.has(name.replace(/_bucket$/, "")) || foreign.test(name);
  expect(asked.length).toBeGreaterThan(20);
  expect([...new Set(asked)].filter((name) => !known(name))).toEqual([]);
});
