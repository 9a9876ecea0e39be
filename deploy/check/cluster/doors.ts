// Ways from this machine into the cluster, kept open though what they lead to dies.

import { setTimeout as delay } from "node:timers/promises";
import { findFreePort } from "../../../tools/stores/free-port.ts";
import { startKubectl } from "./kubectl.ts";

const AGAIN_AFTER_MS = 200;

/** What a door leads to: a workload's port, by namespace. */
export interface DoorPlan {
  readonly namespace: string;
  readonly resource: string;
  readonly port: number;
}

/** Opens a port on this machine's loopback that leads there until the signal aborts; resolves to the port. */
export async function openDoor(
  { namespace, resource, port }: DoorPlan,
  signal: AbortSignal,
): Promise<number> {
  const localPort = await findFreePort();
  const args = ["--namespace", namespace, "port-forward", resource, `${localPort}:${port}`];
  const keepOpen = async () => {
    while (!signal.aborted) {
      const child = startKubectl(args, signal);
      child.stdout.resume();
      child.stderr.resume();
      await new Promise<void>((resolve) => child.once("close", resolve).once("error", () => resolve()));
      await delay(AGAIN_AFTER_MS);
    }
  };
  keepOpen().catch(() => {});
  return localPort;
}
