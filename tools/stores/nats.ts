// One NATS server with JetStream, on its own port and with its own store: never the system's.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { containerLaunch } from "./container.ts";
import { readFirstBytes } from "./first-bytes.ts";
import type { Launch } from "./launched-process.ts";
import { findProgram } from "./program.ts";
import type { Program, Requirement } from "./requirement.ts";
import { prepareStore, type Store, type StoreOptions, startStore } from "./store.ts";

/** The server Souk needs: 2.9 is the oldest whose JetStream does what the kit asks for. */
export const NATS_SERVER: Requirement = {
  command: "nats-server",
  oldest: [2, 9],
  debianPackage: "nats-server",
  homebrewFormula: "nats-server",
  dockerImage: "nats:2.12-alpine",
};

const CONFIG_NAME = "nats.conf";

/** Finds `nats-server`, or installs it; throws where it is older than 2.9 or cannot be had. */
export function findNatsServer(log: (line: string) => void): Promise<Program> {
  return findProgram(NATS_SERVER, log);
}

/** Prepares NATS with JetStream on `dataDir`. */
export async function prepareNats(options: StoreOptions): Promise<Store> {
  const program = await findNatsServer(options.log);
  return prepareStore(options, async (port) => natsLaunch(program, port, options));
}

/** Starts NATS, as {@link prepareNats} has it; port 0 takes a free one. */
export async function startNats(options: StoreOptions): Promise<Store> {
  const program = await findNatsServer(options.log);
  return startStore("nats", options, async (port) => natsLaunch(program, port, options));
}

function natsLaunch(
  program: Program,
  port: number,
  { dataDir, logPath }: StoreOptions,
): Launch & { url: string } {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true });
  const inContainer = "dockerImage" in program;
  const seenFolder = inContainer ? "/data" : folder;
  writeFileSync(join(folder, CONFIG_NAME), configOf(port, seenFolder, inContainer ? "0.0.0.0" : "127.0.0.1"));
  const args = ["--config", join(seenFolder, CONFIG_NAME)];
  const command = inContainer
    ? containerLaunch({ image: program.dockerImage, name: "nats", dataDir: folder, port, args })
    : { command: program.path, args, env: {} };
  return {
    name: "nats",
    url: `nats://127.0.0.1:${port}`,
    ...command,
    logPath,
    isReady: async (signal) => hasJetStream(await readFirstBytes(port, undefined, signal)),
    readyWithinMs: 30_000,
  };
}

function configOf(port: number, folder: string, host: string): string {
  return [
    `listen: "${host}:${port}"`,
    "max_payload: 1MB",
    "jetstream {",
    `  store_dir: ${JSON.stringify(folder)}`,
    "  max_memory_store: 64MB",
    "  max_file_store: 4GB",
    "}",
    "",
  ].join("\n");
}

/** A NATS server greets each connection with what it can do. */
function hasJetStream(greeting: string): boolean {
  return /^INFO .*"jetstream":\s*true/.test(greeting);
}
