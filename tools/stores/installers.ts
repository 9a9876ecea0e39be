import { type ChildProcess, spawn } from "node:child_process";
import type { Program, Requirement } from "./requirement.ts";

/** A way to get a program. */
export type Installer = {
  name: string;
  /** Whether this system has it, and may use it without asking for a password. */
  isAvailable(): Promise<boolean>;
  /** Installs, after saying what; resolves to a program that is not on the path, if it is one. Rejects when it fails. */
  install(requirement: Requirement, log: (line: string) => void): Promise<Program | undefined>;
};

const PROBE_TIMEOUT_MS = 10_000;
const INSTALL_TIMEOUT_MS = 300_000;

/** The installers of an operating system, in the order in which they are tried. */
export function installersOf(platform: NodeJS.Platform): Installer[] {
  return platform === "linux" ? [apt, homebrew, docker] : [homebrew, docker];
}

const apt: Installer = {
  name: "apt",
  isAvailable: async () =>
    (await succeeds("apt-get", ["--version"])) && (isRoot() || (await succeeds("sudo", ["-n", "true"]))),
  async install({ command, debianPackage }, log) {
    const lines = [
      ["apt-get", "update"],
      [
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "-o",
        "DPkg::Lock::Timeout=120",
        debianPackage,
      ],
    ].map((line) => (isRoot() ? line : ["sudo", "-n", "DEBIAN_FRONTEND=noninteractive", ...line]));
    log(`${command} is not on the path. Installing Debian's package ${debianPackage}:`);
    for (const line of lines) await run(line, log);
    return undefined;
  },
};

const homebrew: Installer = {
  name: "Homebrew",
  isAvailable: () => succeeds("brew", ["--version"]),
  async install({ command, homebrewFormula }, log) {
    log(`${command} is not on the path. Installing it with Homebrew:`);
    await run(["brew", "install", homebrewFormula], log);
    return undefined;
  },
};

const docker: Installer = {
  name: "Docker",
  isAvailable: () => succeeds("docker", ["info"]),
  async install({ command, dockerImage }, log) {
    log(`${command} is not on the path. Fetching it as a Docker image:`);
    await run(["docker", "pull", dockerImage], log);
    return { dockerImage };
  },
};

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: "ignore", timeout: PROBE_TIMEOUT_MS });
  return (await exitCodeOf(child)) === 0;
}

async function run(line: readonly string[], log: (line: string) => void): Promise<void> {
  const [command = "", ...args] = line;
  log(`  ${line.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = spawn(command, args, {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALL_TIMEOUT_MS,
  });
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint = `${complaint}${text}`.slice(-1000);
  });
  const code = await exitCodeOf(child);
  if (code !== 0) throw new Error(`"${line.join(" ")}" ended with exit code ${code}: ${complaint.trim()}`);
}

function exitCodeOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", (code) => resolve(code));
  });
}
