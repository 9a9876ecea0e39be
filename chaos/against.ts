import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RunningShop } from "../tools/start/ports-file.ts";
import { urlOf } from "../tools/start/processes.ts";
import type { Secrets } from "../tools/start/secrets.ts";
import { SERVICE_NAMES } from "../tools/start/service-names.ts";
import { shopFolder } from "../tools/start/shop-folder.ts";
import type { Access } from "./evidence/access.ts";

/** What a file for `--against` may say beyond what `ports.json` does; what it does not say is read beside the file. */
type AgainstFile = RunningShop &
  Partial<Pick<Access, "postgresUrl" | "natsUrl" | "cardProcessor" | "carrier">>;

/** Reads how to reach a shop that runs: a `ports.json` in its data folder, or a file of the same shape that says more. */
export function readAgainst(path: string): Access {
  const file = JSON.parse(readFileSync(path, "utf8")) as AgainstFile;
  const { gatewayUrl, issuerUrl, ports } = file;
  const beside = shopFolder(dirname(path));
  const secrets = () => JSON.parse(readFileSync(beside.secretsPath, "utf8")) as Secrets;
  const password = () => readFileSync(join(beside.root, "postgres.password"), "utf8");
  return {
    gatewayUrl,
    issuerUrl,
    postgresUrl: file.postgresUrl ?? `postgres://postgres:${password()}@127.0.0.1:${ports.postgres}/postgres`,
    natsUrl: file.natsUrl ?? `nats://127.0.0.1:${ports.nats}`,
    cardProcessor: file.cardProcessor ?? {
      url: urlOf(ports["card-processor"]),
      key: secrets().cardProcessorKey,
    },
    carrier: file.carrier ?? { url: urlOf(ports.carrier), key: secrets().carrierKey },
    databases: SERVICE_NAMES,
  };
}
