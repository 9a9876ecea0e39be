// The watchdog over canaries as a pod of the cluster: deploy/components/canary/keeper.yaml.

import { createLogger } from "#kit/telemetry/telemetry.ts";
import { connectFromPod, readNamespace } from "./api-server.ts";
import { keep } from "./keeper.ts";

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
const log = createLogger({ service: "canary-keeper", level: "info" });
const api = connectFromPod(process.env);
const namespace = readNamespace();
log.info({ namespace }, "watches");
await keep({ api, namespace, say: (text) => log.info(text), signal: stopping.signal });
api.close();
