// Makes the streams of all events: NATS_URL, NATS_USER and NATS_PASSWORD, EVENT_STREAM_REPLICAS (1), EVENT_PREFIX (souk). In a cluster a Job runs this
// before the services start, so that a stream has its replicas from its first event on.

import { Secret } from "#kit/config/config.ts";
import { connectNats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { makeStreams } from "./streams.ts";

const { NATS_URL = "", NATS_USER = "", NATS_PASSWORD = "" } = process.env;
const { EVENT_STREAM_REPLICAS = "1", EVENT_PREFIX = "souk" } = process.env;

const log = createLogger({ service: "streams", level: "info" });
const nats = await connectNats({
  url: NATS_URL,
  login: { user: NATS_USER, password: new Secret(NATS_PASSWORD) },
  name: "streams",
  log,
  streamReplicas: Number(EVENT_STREAM_REPLICAS),
});
try {
  log.info({ streams: await makeStreams(nats, EVENT_PREFIX) }, "the streams are there");
} finally {
  await nats.close();
}
