import { processEnv } from "#kit/config/config.ts";
import { runUntilSignalled } from "#kit/service/service.ts";
import { startGateway } from "./gateway.ts";

/** Gateway: the shop's public edge. */
if (import.meta.main) await runUntilSignalled(() => startGateway(processEnv()));
