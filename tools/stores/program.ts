// Programs that npm cannot bring along: found on the path, else installed by what the system has for that.

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { type Installer, installersOf } from "./installers.ts";
import type { Program, Requirement } from "./requirement.ts";

/** Debian keeps servers in folders that only root has on the path. */
const MORE_FOLDERS = ["/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"];
const execute = promisify(execFile);

/** Package managers hold locks: two programs that are missing are installed one after the other. */
let lastInstallation: Promise<unknown> = Promise.resolve();

/** Where and how programs are looked for; tests bring their own. */
export type Surroundings = {
  folders: readonly string[];
  installers: readonly Installer[];
};

/** The folders of the path (and those of servers), and the installers this system has. */
function theseSurroundings(): Surroundings {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return { folders: [...folders, ...MORE_FOLDERS], installers: installersOf(process.platform) };
}

/**
 * Finds a program on the path. Where there is none, installs it with the first installer that this system has, after
 * saying so. Throws where the one on the path is too old, and where none can be had: the message then has the line to
 * type for each operating system.
 */
export async function findProgram(
  requirement: Requirement,
  log: (line: string) => void,
  { folders, installers }: Surroundings = theseSurroundings(),
): Promise<Program> {
  const present = await lookUp(requirement, folders);
  if (present) return acceptVersion(requirement, present);
  const installing = lastInstallation.then(() => install(requirement, log, { folders, installers }));
  lastInstallation = installing.catch(() => undefined);
  return installing;
}

async function install(
  requirement: Requirement,
  log: (line: string) => void,
  { folders, installers }: Surroundings,
): Promise<Program> {
  const refusals: string[] = [];
  for (const installer of installers) {
    if (!(await installer.isAvailable())) continue;
    try {
      const program = await installer.install(requirement, log);
      if (program) return program;
      const installed = await lookUp(requirement, folders);
      if (installed) return acceptVersion(requirement, installed);
      refusals.push(`${installer.name} brought no ${requirement.command}`);
    } catch (error) {
      refusals.push(`${installer.name}: ${(error as Error).message}`);
    }
  }
  throw new Error(missingMessage(requirement, refusals));
}

/** Throws where a version is older than what is needed, naming the program, its version and its place. */
function acceptVersion(
  requirement: Requirement,
  program: { path: string; version: string },
): { path: string; version: string } {
  const [major, minor] = requirement.oldest;
  const [ownMajor = 0, ownMinor = 0] = program.version.split(".").map(Number);
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return program;
  throw new Error(
    `${requirement.command} ${program.version} (${program.path}) is too old: Souk needs ${major}.${minor} or newer. ` +
      `Update or remove it.`,
  );
}

async function lookUp({ command }: Requirement, folders: readonly string[]) {
  const path = folders.map((folder) => join(folder, command)).find(isExecutable);
  if (path === undefined) return undefined;
  return { path, version: await readVersion(path) };
}

/** Reads `1.2.3` out of what `--version` prints; throws where there is none. */
async function readVersion(path: string): Promise<string> {
  const { stdout, stderr } = await execute(path, ["--version"], { timeout: 10_000 });
  const version = /v=?(\d+\.\d+[\w.-]*)/.exec(stdout + stderr)?.[1];
  if (version === undefined) throw new Error(`${path} --version does not tell a version`);
  return version;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function missingMessage(requirement: Requirement, refusals: readonly string[]): string {
  const { command, debianPackage, homebrewFormula, dockerImage } = requirement;
  return [
    `${command} is not on the path, and could not be installed. Type one of these, then start again:`,
    `  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y ${debianPackage}`,
    `  Fedora:          sudo dnf install -y ${debianPackage === "redis-server" ? "redis" : debianPackage}`,
    `  Arch:            sudo pacman -S --noconfirm ${homebrewFormula}`,
    `  macOS:           brew install ${homebrewFormula}`,
    `  any with Docker: docker pull ${dockerImage}   (with Docker running)`,
    ...refusals.map((refusal) => `Tried: ${refusal}`),
  ].join("\n");
}
