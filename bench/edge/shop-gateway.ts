// The shop's gateway with all its policy: tokens, scopes, rate limits in Redis, correlation ids, metrics, log.

import { processEnv } from "#kit/config/config.ts";
import { startGateway } from "../../services/gateway/gateway.ts";

const { port } = await startGateway(processEnv());
process.send?.({ port, grpcPort: port });
process.once("disconnect", () => process.exit());
