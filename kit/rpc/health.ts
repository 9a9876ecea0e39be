import type { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

/** What grpc.health.v1 answers about this process. */
export interface Health {
  /** `""` is the whole process: it, `readiness` and every service. */
  setServing(service: string, serving: boolean): void;
}

/**
 * Serves grpc.health.v1 for `""`, `readiness`, `liveness` and each service. `liveness` serves from the start to the end:
 * a process that cannot reach its database is not made well by killing it. The rest serves when it is told to.
 */
export function addHealth(server: Server, services: readonly string[]): Health {
  const followers = ["", "readiness", ...services];
  const health = new HealthImplementation({
    liveness: "SERVING",
    ...Object.fromEntries(followers.map((name) => [name, "NOT_SERVING" as const])),
  });
  health.addToServer(server);
  return {
    setServing(service, serving) {
      const names = service === "" ? followers : [service];
      for (const name of names) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
    },
  };
}
