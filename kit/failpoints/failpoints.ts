/**
 * Named places at which a test may stop a process dead. Inert unless the environment is `test` and FAILPOINTS names the place:
 * a check of an empty map otherwise.
 *
 * FAILPOINTS is `name=action` pairs, separated by commas. Actions: `kill` ends this process with SIGKILL; `stall` waits for
 * five seconds, so that somebody else can be killed meanwhile. Either first writes the name as a file into FAILPOINTS_DIR, which
 * proves that the place was reached; a place acts once per folder.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { processEnv } from "#kit/config/config.ts";
import { delay } from "#kit/time/time.ts";

const stallMs = 5_000;

type Action = "kill" | "stall";

const { actions, folder } = readFailpoints();

/** Marks a place. Returns undefined, without a promise, where nothing is to happen. */
export function reach(place: string): Promise<void> | undefined {
  if (actions.size === 0) return undefined;
  const action = actions.get(place);
  return action && claim(place) ? act(action) : undefined;
}

function readFailpoints() {
  const { ENVIRONMENT, FAILPOINTS, FAILPOINTS_DIR } = processEnv();
  const named = ENVIRONMENT === "test" && FAILPOINTS_DIR ? (FAILPOINTS ?? "").split(",") : [];
  const pairs = named.filter(Boolean).map((pair) => pair.split("=") as [string, Action]);
  return { actions: new Map(pairs), folder: FAILPOINTS_DIR ?? "" };
}

/** Creating the file is the claim: a restarted process that comes by again finds it taken. */
function claim(place: string): boolean {
  try {
    writeSync(openSync(join(folder, place.replaceAll("/", ".")), "wx"), String(process.pid));
    return true;
  } catch {
    return false;
  }
}

async function act(action: Action) {
  if (action === "kill") process.kill(process.pid, "SIGKILL");
  await delay(stallMs);
}
