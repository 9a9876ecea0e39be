import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULT_PORT_BASE, MAX_PORT_BASE } from "./ports.ts";

/** What `npm start` was asked for. */
export type StartFlags = {
  /** First port of the block. */
  portBase: number;
  /** Absolute path of the data folder. */
  dataDir: string;
  /** Empty the data folder first. */
  fresh: boolean;
  help: boolean;
};

/** The text of `npm start -- --help`. */
export const START_HELP = `Runs the shop on this machine until Ctrl-C.

  npm start                      data in .souk, ports ${DEFAULT_PORT_BASE} and up
  npm start -- --fresh           empties the data folder first
  npm start -- --port-base 9080  moves the block of ports    (or SOUK_PORT_BASE)
  npm start -- --data-dir path   moves the data folder       (or SOUK_DATA_DIR)

Variables of the services (LOG_LEVEL, OTEL_EXPORTER_OTLP_ENDPOINT, …) are passed on to them.`;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads flags and environment; throws with a sentence for the person who typed them. */
export function readStartFlags(args: readonly string[], env: Environment): StartFlags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "port-base": { type: "string" },
      "data-dir": { type: "string" },
      fresh: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return {
    portBase: readPortBase(values["port-base"] ?? env.SOUK_PORT_BASE),
    dataDir: readDataDir(values["data-dir"], env),
    fresh: values.fresh,
    help: values.help,
  };
}

/** The data folder: the flag, else SOUK_DATA_DIR, else `.souk`. */
export function readDataDir(flag: string | undefined, env: Environment): string {
  return resolve(flag || env.SOUK_DATA_DIR || ".souk");
}

function readPortBase(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_PORT_BASE;
  const base = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (base >= 1024 && base <= MAX_PORT_BASE) return base;
  throw new Error(`The port base is a whole number from 1024 to ${MAX_PORT_BASE}, not "${text}"`);
}
