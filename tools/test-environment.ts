import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testClientSecret } from "#kit/testing/testing.ts";
import { startIssuer } from "./issuer/issuer.ts";
import { SERVICE_SCOPES } from "./start/processes.ts";
import { SERVICE_NAMES } from "./start/service-names.ts";
import { startStores } from "./stores/store-set.ts";

/** Starts what a test run shares (Postgres, NATS, Redis, a token issuer) and names it in the environment. */
export async function setup(): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), "souk-test-"));
  const stores = await startStores({ dataDir, log: (line) => console.error(line) });
  const clients = Object.fromEntries(
    SERVICE_NAMES.map((name) => [name, { secret: testClientSecret, scopes: SERVICE_SCOPES[name] ?? [] }]),
  );
  const issuer = await startIssuer({ port: 0, dataDir: join(dataDir, "issuer"), clients });
  Object.assign(process.env, {
    TEST_POSTGRES_URL: stores.postgres.url,
    TEST_NATS_URL: stores.nats.url,
    TEST_REDIS_URL: stores.redis.url,
    TEST_ISSUER_URL: issuer.url,
  });
  return async () => {
    await issuer.close();
    await stores.stop();
    rmSync(dataDir, { recursive: true });
  };
}
