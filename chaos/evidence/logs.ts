import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A start that fails is none of it, as when a store is away: Node prints `triggerUncaughtException(` then, and it is tried again. */
const complaints =
  /unhandled|(?<!trigger)uncaught|"level":"fatal"|FATAL ERROR|Maximum call stack|out of memory/i;
const maxShown = 5;
const maxLineLength = 300;

/** Lines in the logs of a folder's processes that no healthy process writes; the stores' own logs are not among them. */
export function findAilments(folder: string): string[] {
  const logs = join(folder, "logs");
  return readdirSync(logs).flatMap((file) => {
    const lines = readFileSync(join(logs, file), "utf8").split("\n");
    const found = lines.filter((line) => complaints.test(line));
    return found.slice(0, maxShown).map((line) => `${file}: ${line.slice(0, maxLineLength)}`);
  });
}
