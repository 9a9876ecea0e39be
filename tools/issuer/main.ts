// Runs the development issuer: PORT, DATA_DIR and CLIENTS (`{"<client id>": {"secret": "…", "scopes": ["…"]}}`); in a cluster
// also HOST and ISSUER_URL, the name by which others reach it.

import { startIssuer } from "./issuer.ts";

const {
  HOST = "127.0.0.1",
  PORT = "8102",
  DATA_DIR = ".souk/issuer",
  CLIENTS = "{}",
  ISSUER_URL,
} = process.env;

const issuer = await startIssuer({
  host: HOST,
  ...(ISSUER_URL ? { url: ISSUER_URL } : {}),
  port: Number(PORT),
  dataDir: DATA_DIR,
  clients: JSON.parse(CLIENTS),
});
console.log(`Issuing tokens at ${issuer.url}/token`);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void issuer.close());
