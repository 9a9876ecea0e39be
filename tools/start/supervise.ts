import { rmSync } from "node:fs";
import { claimLock } from "./lock.ts";
import { endOrphans } from "./process-records.ts";
import { createShopFolder, emptyShopFolder, type ShopFolder } from "./shop-folder.ts";
import { Supervisor } from "./supervisor.ts";

/** What a supervised run is about. */
export type SuperviseOptions = {
  folder: ShopFolder;
  /** Remove all data before anything starts. */
  fresh: boolean;
  say: (line: string) => void;
};

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Claims the data folder, ends what an earlier run left behind, starts things by `start`, and lasts until a signal asks
 * for the end; a second signal ends everything at once. Resolves to the exit code, with nothing left running.
 */
export async function supervise(
  { folder, fresh, say }: SuperviseOptions,
  start: (supervisor: Supervisor) => Promise<void>,
): Promise<number> {
  createShopFolder(folder);
  const release = claimLock(folder.lockPath, (pid) => alreadyRunning(folder, pid));
  const supervisor = new Supervisor(say);
  const stopAsked = listenForSignals(supervisor, say);
  try {
    await tidyUp(folder, fresh, say);
    await Promise.race([start(supervisor), stopAsked]);
    await stopAsked;
    return 0;
  } catch (error) {
    if (supervisor.stopping.aborted) return 0;
    say(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    rmSync(folder.portsPath, { force: true });
    await supervisor.stop();
    release();
  }
}

function alreadyRunning({ root }: ShopFolder, pid: number): string {
  return (
    `A shop already runs in ${root} (process ${pid}). Stop it first, or run another one beside it:\n` +
    "  npm start -- --data-dir .souk-2 --port-base 9080"
  );
}

async function tidyUp(folder: ShopFolder, fresh: boolean, say: (line: string) => void): Promise<void> {
  const orphans = await endOrphans(folder.processesDir);
  // Left by a supervisor that was killed, it would point at a shop that is not ready.
  rmSync(folder.portsPath, { force: true });
  const names = orphans.map(({ name, pid }) => `${name} (${pid})`).join(", ");
  if (orphans.length > 0) say(`Ended what an earlier run had left behind: ${names}`);
  if (fresh) emptyShopFolder(folder);
}

/** Resolves at the first signal that asks for the end. */
function listenForSignals(supervisor: Supervisor, say: (line: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = () => {
      if (supervisor.stopping.aborted) return void supervisor.stopAtOnce();
      say("Stopping: services first, stores last. Ctrl-C again ends everything at once.");
      void supervisor.stop();
      resolve();
    };
    for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  });
}
