import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { SERVICE_NAMES, type ServiceName } from "./service-names.ts";

/** Secrets of one shop on one machine, made at its first start. */
export type Secrets = {
  clientSecrets: Readonly<Record<ServiceName, string>>;
  cardProcessorKey: string;
  cardProcessorWebhookSecret: string;
  carrierKey: string;
};

/** Reads the secrets from a file that only its owner may read; makes both where there are none. */
export function readSecrets(path: string): Secrets {
  if (!existsSync(path)) writeFileSync(path, JSON.stringify(createSecrets(), undefined, 2), { mode: 0o600 });
  chmodSync(path, 0o600);
  return JSON.parse(readFileSync(path, "utf8"));
}

function createSecrets(): Secrets {
  const clientSecrets = SERVICE_NAMES.map((name) => [name, random()]);
  return {
    clientSecrets: Object.fromEntries(clientSecrets),
    cardProcessorKey: `sk_test_${random()}`,
    cardProcessorWebhookSecret: `whsec_${random()}`,
    carrierKey: `carrier_test_${random()}`,
  };
}

function random(): string {
  return randomBytes(18).toString("hex");
}
