// One Redis server on its own port: never the system's. It holds what can be had again (cached reads, rate counters), so
// nothing is written to disk.

import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { containerLaunch } from "./container.ts";
import { readFirstBytes } from "./first-bytes.ts";
import type { Launch } from "./launched-process.ts";
import { findProgram } from "./program.ts";
import type { Program, Requirement } from "./requirement.ts";
import { prepareStore, type Store, type StoreOptions, startStore } from "./store.ts";

/** The server Souk needs: 6.0 is the oldest line that systems in use still bring. */
export const REDIS_SERVER: Requirement = {
  command: "redis-server",
  oldest: [6, 0],
  debianPackage: "redis-server",
  homebrewFormula: "redis",
  dockerImage: "redis:8-alpine",
};

/** Finds `redis-server`, or installs it; throws where it is too old or cannot be had. */
function findRedisServer(log: (line: string) => void): Promise<Program> {
  return findProgram(REDIS_SERVER, log);
}

/** Prepares Redis; its content is lost when it ends. */
export async function prepareRedis(options: StoreOptions): Promise<Store> {
  const program = await findRedisServer(options.log);
  return prepareStore(options, async (port) => redisLaunch(program, port, options));
}

/** Starts Redis, as {@link prepareRedis} has it; port 0 takes a free one. */
export async function startRedis(options: StoreOptions): Promise<Store> {
  const program = await findRedisServer(options.log);
  return startStore("redis", options, async (port) => redisLaunch(program, port, options));
}

function redisLaunch(
  program: Program,
  port: number,
  { dataDir, logPath }: StoreOptions,
): Launch & { url: string } {
  const folder = resolve(dataDir);
  mkdirSync(folder, { recursive: true });
  const inContainer = "dockerImage" in program;
  const place = inContainer
    ? ["--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data"]
    : ["--bind", "127.0.0.1", "--dir", folder];
  const limits = [
    "--save",
    "",
    "--appendonly",
    "no",
    "--maxmemory",
    "64mb",
    "--maxmemory-policy",
    "allkeys-lru",
  ];
  const args = ["--port", `${port}`, ...place, ...limits];
  const command = inContainer
    ? containerLaunch({
        image: program.dockerImage,
        name: "redis",
        dataDir: folder,
        port,
        args: ["redis-server", ...args],
      })
    : { command: program.path, args, env: {} };
  return {
    name: "redis",
    url: `redis://127.0.0.1:${port}`,
    ...command,
    logPath,
    isReady: async (signal) => (await readFirstBytes(port, "PING\r\n", signal)).startsWith("+PONG"),
    readyWithinMs: 30_000,
  };
}
