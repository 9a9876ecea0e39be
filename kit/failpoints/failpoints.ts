/**
 * Named places at which a test may have a process fail. Inert unless the environment is `test` and FAILPOINTS is set: callers
 * check `armed` first, which costs neither a promise nor the place's name.
 *
 * FAILPOINTS is `name=action` pairs, separated by commas, each of which acts once per FAILPOINTS_DIR; or `prefix*`, by which
 * every place asks that folder: a file `prefix` + name + `.armed`, whose text is the action, makes the place act once.
 * Either leaves a file of the name that holds this process's id: the proof that the place was reached.
 *
 * Actions: `kill` ends this process with SIGKILL; `stall` waits for five seconds, so that somebody else can be killed, or loses
 * patience; `throw` throws an Error; `drop` breaks every connection of this process.
 */
import { openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { processEnv } from "#kit/config/config.ts";
import { delay } from "#kit/time/time.ts";

const stallMs = 5_000;

/** What happens at a place. */
export type FailpointAction = "kill" | "stall" | "throw" | "drop";

const { actions, prefix, folder } = readFailpoints();

/** Whether any place of this process may act. */
export const armed: boolean = actions.size > 0 || prefix !== undefined;

/** Marks a place. Returns undefined, without a promise, where nothing is to happen. */
export function reach(place: string): Promise<void> | undefined {
  if (!armed) return undefined;
  const action = prefix === undefined ? claimNamed(place) : claimArmed(prefix + place);
  return action && act(action, place);
}

function readFailpoints() {
  const { ENVIRONMENT, FAILPOINTS, FAILPOINTS_DIR } = processEnv();
  const text = ENVIRONMENT === "test" && FAILPOINTS_DIR ? (FAILPOINTS ?? "") : "";
  const asks = text.endsWith("*");
  const named = asks ? [] : text.split(",").filter(Boolean);
  const pairs = named.map((pair) => pair.split("=") as [string, FailpointAction]);
  return {
    actions: new Map(pairs),
    prefix: asks ? text.slice(0, -1) : undefined,
    folder: FAILPOINTS_DIR ?? "",
  };
}

/** Creating the file is the claim: a restarted process that comes by again finds it taken. */
function claimNamed(place: string): FailpointAction | undefined {
  const action = actions.get(place);
  if (!action) return undefined;
  try {
    writeSync(openSync(join(folder, place.replaceAll("/", ".")), "wx"), String(process.pid));
    return action;
  } catch {
    return undefined;
  }
}

/** Renaming the file is the claim. */
function claimArmed(place: string): FailpointAction | undefined {
  const mark = join(folder, place);
  try {
    renameSync(`${mark}.armed`, mark);
  } catch {
    return undefined;
  }
  const action = readFileSync(mark, "utf8") as FailpointAction;
  writeFileSync(mark, String(process.pid));
  return action;
}

async function act(action: FailpointAction, place: string) {
  if (action === "kill") process.kill(process.pid, "SIGKILL");
  if (action === "throw") throw new Error(`failpoint ${place}`);
  if (action === "drop") breakConnections();
  else await delay(stallMs);
}

/** Node tells of its open handles only under this name. */
function breakConnections() {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles(): unknown[] };
  for (const handle of _getActiveHandles.call(process))
    if (handle instanceof Socket && handle.remoteAddress !== undefined) handle.destroy();
}
