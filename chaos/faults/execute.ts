// Makes planned faults happen. Each part of the shop has a lane in which its faults follow one another: a store that is down
// cannot be killed, and a service keeps one of its two replicas.

import { pause } from "../pause.ts";
import { actOn, type Scene } from "./act.ts";
import type { Fault, PlannedFault } from "./fault.ts";
import type { Incident } from "./incident.ts";

/** Faults under way. */
export interface Execution {
  /** What has happened so far. */
  readonly incidents: readonly Incident[];
  /** Faults that could not be carried out, which is the harness' own failure. */
  readonly failures: readonly string[];
  /** Resolves when every fault has happened and been undone. */
  readonly ended: Promise<void>;
}

/** Starts a schedule at `startedAtMs` of `performance.now()`; the scene's signal ends it early. */
export function executeFaults(scene: Scene, faults: readonly PlannedFault[], startedAtMs: number): Execution {
  const { signal } = scene;
  const incidents: Incident[] = [];
  const failures: string[] = [];
  const lanes = Map.groupBy(faults, ({ fault }) => laneOf(fault));
  const now = () => Math.round(performance.now() - startedAtMs);
  const runLane = async (lane: readonly PlannedFault[]) => {
    for (const { atMs, fault } of lane) {
      await pause(atMs - now(), signal);
      if (signal.aborted) return;
      const fromMs = now();
      try {
        const hits = await actOn(scene, fault);
        incidents.push({ fault, fromMs, toMs: now(), hits });
      } catch (error) {
        failures.push(`${JSON.stringify(fault)} at ${fromMs} ms: ${error}`);
      }
    }
  };
  const ended = Promise.all([...lanes.values()].map(runLane)).then(() => undefined);
  return { incidents, failures, ended };
}

function laneOf(fault: Fault): string {
  switch (fault.kind) {
    case "kill-service":
    case "freeze-service":
      return `service ${fault.service}`;
    case "restart-service":
      return "deploy";
    case "crash-postgres":
    case "terminate-backends":
    case "refuse-writes":
    case "shift-clock":
      return "postgres";
    case "kill-broker":
    case "repeat-events":
      return "nats";
    case "flush-redis":
    case "kill-redis":
      return "redis";
    case "trouble-link":
    case "reset-link":
      return `link ${fault.link}`;
    case "late-command":
      return `late ${fault.service}`;
  }
}
