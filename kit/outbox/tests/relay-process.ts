// A relay as a process of its own, for tests that kill and stop it.
import { processEnv } from "#kit/config/config.ts";
import { connectNats } from "#kit/nats/nats.ts";
import { createRelay } from "#kit/outbox/relay.ts";
import { createDatabase } from "#kit/postgres/postgres.ts";
import { createLogger, createMetrics } from "#kit/telemetry/telemetry.ts";

const { DATABASE_URL: url = "", NATS_URL: natsUrl = "" } = processEnv();
const log = createLogger({ service: "relay", level: "info" });
const nats = await connectNats({ url: natsUrl, name: "relay", log });
const db = createDatabase({ url, log });
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
// What waits in here must not keep a process alive that is to end.
const alive = setInterval(() => {}, 1_000);
log.info("started");
await createRelay({ db, nats, log, metrics: createMetrics() }).run(stopping.signal);
clearInterval(alive);
await db.close();
await nats.close();
