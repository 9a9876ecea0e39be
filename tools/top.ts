// `npm run top`: what each process of the running shop does, refreshed each second.

import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readDataDir } from "./start/flags.ts";
import { readShop } from "./top/read-shop.ts";
import { type Reading, toRows } from "./top/rows.ts";
import { drawTable } from "./top/table.ts";

const HELP = `Shows what each process of the running shop does, refreshed each second. Ctrl-C ends it.

  npm run top
  npm run top -- --once            prints the table once, over one second
  npm run --silent top -- --json   prints one JSON object a second, with --once just one
  npm run top -- --data-dir path   of the shop of another folder (or SOUK_DATA_DIR)

CPU in percent of one core, memory as proportional set size; rates and p99 over the last five seconds. Errors are
answers that failed through no fault of the caller's.`;

const REFRESH_MS = 1000;
const READINGS_KEPT = 6;
const WRONG_FLAGS = 2;
const OTHER_SCREEN = "\x1b[?1049h\x1b[?25l";
const FORMER_SCREEN = "\x1b[?25h\x1b[?1049l";
const TO_TOP_AND_CLEAR = "\x1b[H\x1b[J";

const stopping = new AbortController();
const flags = readFlags();
if (flags?.help) console.log(HELP);
else if (flags) await show(readDataDir(flags["data-dir"], process.env), flags).catch(complain);

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
        "data-dir": { type: "string" },
      },
    });
    return values;
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = WRONG_FLAGS;
    return undefined;
  }
}

async function show(dataDir: string, { once, json }: { once: boolean; json: boolean }): Promise<void> {
  const first = await readShop(dataDir);
  const fullScreen = !once && !json && process.stdout.isTTY;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  if (fullScreen) process.stdout.write(OTHER_SCREEN);
  try {
    await refresh(dataDir, first, { once, json, fullScreen });
  } finally {
    if (fullScreen) process.stdout.write(FORMER_SCREEN);
  }
}

async function refresh(
  dataDir: string,
  first: Reading,
  { once, json, fullScreen }: { once: boolean; json: boolean; fullScreen: boolean },
): Promise<void> {
  const readings = [first];
  do {
    await delay(REFRESH_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    if (stopping.signal.aborted) return;
    readings.push(await readShop(dataDir));
    if (readings.length > READINGS_KEPT) readings.shift();
    const text = json ? toJson(readings) : toText(readings);
    process.stdout.write(`${fullScreen ? TO_TOP_AND_CLEAR : ""}${text}\n`);
  } while (!once);
}

function toText(readings: readonly Reading[]): string {
  return `${drawTable(rowsOf(readings), process.stdout.isTTY)}\n${new Date().toLocaleTimeString()}  Ctrl-C ends`;
}

function toJson(readings: readonly Reading[]): string {
  const rows = rowsOf(readings);
  return JSON.stringify({ at: new Date().toISOString(), processes: rows.slice(0, -1), all: rows.at(-1) });
}

function rowsOf(readings: readonly Reading[]) {
  const [oldest] = readings;
  const newest = readings.at(-1);
  if (!oldest || !newest) throw new Error("Nothing has been read yet");
  return toRows(oldest, newest);
}

function complain(error: Error): void {
  console.error(error.message);
  process.exitCode = 1;
}
