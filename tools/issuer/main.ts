// Runs the development issuer: PORT, DATA_DIR and CLIENTS (`{"<client id>": {"secret": "…", "scopes": ["…"]}}`).

import { startIssuer } from "./issuer.ts";

const { HOST = "127.0.0.1", PORT = "8102", DATA_DIR = ".souk/issuer", CLIENTS = "{}" } = process.env;
if (HOST !== "127.0.0.1")
  throw new Error(`The issuer gives a token to everybody: HOST must be 127.0.0.1, not ${HOST}`);

const issuer = await startIssuer({ port: Number(PORT), dataDir: DATA_DIR, clients: JSON.parse(CLIENTS) });
console.log(`Issuing tokens at ${issuer.url}/token`);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void issuer.close());
