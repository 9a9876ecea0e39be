import { findRunningShop } from "../start/ports-file.ts";
import { readRunningProcesses } from "../start/process-records.ts";
import { shopFolder } from "../start/shop-folder.ts";
import { parseMetrics } from "./metrics-text.ts";
import { readUsages } from "./process-usage.ts";
import type { ProcessReading, Reading } from "./rows.ts";
import { readServiceNumbers, type ServiceNumbers } from "./service-numbers.ts";

const METRICS_TIMEOUT_MS = 900;

/** Reads every process of the shop in a data folder once; throws where no shop is ready there. */
export async function readShop(dataDir: string): Promise<Reading> {
  const { metricsUrls, supervisor } = findRunningShop(dataDir);
  const known = readRunningProcesses(shopFolder(dataDir).processesDir).sort(
    (a, b) => b.rank - a.rank || a.name.localeCompare(b.name),
  );
  const everybody = [...known, { name: "supervisor", pid: supervisor.pid }];
  const usages = readUsages(everybody.map(({ pid }) => pid));
  const processes = await Promise.all(
    everybody.map(async ({ name, pid }): Promise<ProcessReading> => {
      const numbers = await readNumbers(metricsUrls[name]);
      return { name, pid, usage: usages.get(pid), numbers };
    }),
  );
  return { atMs: performance.now(), processes };
}

/** A process that does not answer has no numbers this time. */
async function readNumbers(url: string | undefined): Promise<ServiceNumbers | undefined> {
  if (url === undefined) return undefined;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS) });
    return response.ok ? readServiceNumbers(parseMetrics(await response.text())) : undefined;
  } catch {
    return undefined;
  }
}
