// What the consistency harness is told of a shop in a cluster: doors to its edge, its stores and the stand-ins' ledgers.

import { writeFileSync } from "node:fs";
import type { Access } from "../../../chaos/evidence/access.ts";
import { openDoor } from "./doors.ts";
import { readJson, startKubectl } from "./kubectl.ts";
import { SHOP, STORES } from "./namespaces.ts";

/** The ports of the debug pod's loopback on which the gateway and the issuer are found. */
const RELAYED = { gateway: 18_080, issuer: 18_102 };

/**
 * Runs in the debug pod: whoever comes through its door goes on through the mesh, past any one pod that dies. The sidecar leads
 * requests by the host they name, and one that names this machine's loopback would leave the mesh.
 */
const RELAY = `
const { createServer, request } = require("node:http");
const doors = [[${RELAYED.gateway}, "gateway", 8080], [${RELAYED.issuer}, "issuer", 8102]];
for (const [door, host, port] of doors)
  createServer((asked, answer) => {
    const { method, url: path, headers } = asked;
    const to = { host, port, method, path, headers: { ...headers, host: host + ":" + port }, agent: false };
    const onward = request(to, (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      answered.on("error", () => answer.destroy()).pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  }).listen(door, "127.0.0.1");
process.stdin.resume().on("end", () => process.exit());
`;

/** Opens every door, until the signal aborts, and writes down where they are: a file for `npm run chaos -- --against`. */
export async function writeAgainstFile(path: string, signal: AbortSignal): Promise<void> {
  const exec = ["--namespace", SHOP, "exec", "--stdin", "deploy/debug", "--container", "app"];
  startKubectl([...exec, "--", "node", "-e", RELAY], signal).on("error", () => {});
  const door = async (namespace: string, resource: string, port: number) =>
    `127.0.0.1:${await openDoor({ namespace, resource, port }, signal)}`;
  const gateway = await door(SHOP, "deploy/debug", RELAYED.gateway);
  const issuer = await door(SHOP, "deploy/debug", RELAYED.issuer);
  const postgres = await door(STORES, "service/postgres", 5432);
  const nats = await door(STORES, "service/nats", 4222);
  const processor = await door(SHOP, "service/card-processor", 8100);
  const carrier = await door(SHOP, "service/carrier", 8101);
  const [postgresRoles, brokerUsers, cards, parcels] = await Promise.all([
    readSecret(STORES, "postgres"),
    readSecret(STORES, "nats-users"),
    readSecret(SHOP, "payments-card-processor"),
    readSecret(SHOP, "shipping-carrier"),
  ]);
  const access: Omit<Access, "databases"> = {
    gatewayUrl: `http://${gateway}`,
    issuerUrl: `http://${issuer}`,
    postgresUrl: `postgres://postgres:${postgresRoles.POSTGRES_PASSWORD}@${postgres}/postgres`,
    natsUrl: `nats://operator:${brokerUsers.OPERATOR_NATS_PASSWORD}@${nats}`,
    cardProcessor: { url: `http://${processor}`, key: cards.CARD_PROCESSOR_KEY ?? "" },
    carrier: { url: `http://${carrier}`, key: parcels.CARRIER_KEY ?? "" },
  };
  writeFileSync(path, JSON.stringify(access, undefined, 2), { mode: 0o600 });
}

async function readSecret(namespace: string, name: string): Promise<Readonly<Record<string, string>>> {
  const { data } = await readJson<{ data: Record<string, string> }>([
    "--namespace",
    namespace,
    "get",
    "secret",
    name,
  ]);
  const decode = (value: string) => Buffer.from(value, "base64").toString("utf8");
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decode(value)]));
}
