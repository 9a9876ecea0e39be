// Kill points of a running shop. All of them are named to the services at their start and lie disarmed, since a place acts
// only where it can leave its mark; one is armed by removing the mark, so nothing has to be started anew for the next.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "#kit/testing/testing.ts";
import { type ExtraEnv, failpointsOf, type Processes } from "./processes.ts";

/** A place in a process, and what happens there: it kills itself, or waits for orders to be killed. */
export interface KillPoint {
  readonly process: string;
  readonly place: string;
  readonly action: "kill" | "stall";
}

const hitWithinMs = 15_000;

/** The environment that names kill points to their processes. */
export function killPointEnv(points: readonly KillPoint[]): ExtraEnv {
  const byProcess = Map.groupBy(points, ({ process }) => process);
  const env = [...byProcess].map(([name, places]) => {
    const pairs = new Set(places.map(({ place, action }) => `${place}=${action}`));
    return [name, { FAILPOINTS: [...pairs].join(",") }];
  });
  return Object.fromEntries(env);
}

/** Takes effect from all points. */
export function disarm({ folder }: Processes, points: readonly KillPoint[]): void {
  for (const { place } of points) writeFileSync(markOf(folder, place), "disarmed");
}

/** Arms a point; it acts once. */
export function arm({ folder }: Processes, { place }: KillPoint): void {
  rmSync(markOf(folder, place));
}

/**
 * Waits until the point was reached and orders is dead of it. Rejects where the point is not reached, or was reached by
 * another process than the one meant.
 */
export async function killAt(processes: Processes, point: KillPoint): Promise<void> {
  const orders = processOf(processes, "orders");
  const victim = orders.pid;
  const died = orders.exited;
  const reacher = processOf(processes, point.process).pid;
  arm(processes, point);
  const mark = markOf(processes.folder, point.place);
  await eventually(() => {
    if (!existsSync(mark)) throw new Error(`${point.place} was not reached`);
    if (readFileSync(mark, "utf8") !== String(reacher))
      throw new Error(`${point.place} was reached elsewhere`);
  }, hitWithinMs);
  if (point.action === "stall" && victim !== undefined) process.kill(victim, "SIGKILL");
  const { signal } = await died;
  if (signal !== "SIGKILL") throw new Error(`orders did not die of ${point.place}`);
}

function processOf({ byName }: Processes, name: string) {
  const found = byName.get(name);
  if (!found) throw new Error(`there is no process ${name}`);
  return found;
}

const markOf = (folder: string, place: string) => join(failpointsOf(folder), place);
