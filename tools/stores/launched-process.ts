// A child process that leads its own process group: a Ctrl-C in the terminal reaches only the process that launched it,
// which then decides in which order its children end.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** How a process is started, how one sees that it serves, and how it is asked to end. */
export type Launch = {
  /** What messages call it: `postgres`, `orders`. */
  name: string;
  command: string;
  args: readonly string[];
  /** The whole environment of the child; nothing is inherited. */
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** The account the child runs as, where it is not the caller's own. */
  account?: { uid: number; gid: number };
  /** Where the child appends its output, by itself: it goes on when its launcher dies. The folder is made. */
  logPath: string;
  /** Resolves to true once the child serves; asked every 20 ms. A rejection means "not yet". */
  isReady: (signal: AbortSignal) => Promise<boolean>;
  /** How long the child may take until it serves. */
  readyWithinMs: number;
  /** A start that ends by itself is tried again within this time; 0 where unset. */
  startAgainWithinMs?: number;
  /** Asks for an orderly end. SIGTERM where unset. */
  stopSignal?: NodeJS.Signals;
  /** Asks for an end without tidying up, as after a crash. SIGKILL where unset. */
  immediateSignal?: NodeJS.Signals;
  /** How long an end may take before SIGKILL follows; 10 s where unset. */
  stopWithinMs?: number;
  /** Runs before each start and after each end: ends what a signal to the child does not reach. */
  cleanUp?: () => Promise<void>;
  /** Learns the process id after each start, and `undefined` after each end. */
  onPid?: (pid: number | undefined) => void;
};

/** How a child ended. */
export type Exit = { code: number | null; signal: NodeJS.Signals | null };

const POLL_MS = 20;
const RETRY_MS = 100;
const STOP_WITHIN_MS = 10_000;
const SHOWN_LOG_LINES = 12;

/** Runs a launch, and runs it again after it has ended. */
export class LaunchedProcess {
  readonly launch: Launch;
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> = Promise.resolve({ code: 0, signal: null });

  constructor(launch: Launch) {
    this.launch = launch;
  }

  /** What messages call it. */
  get name(): string {
    return this.launch.name;
  }

  /** The process id; `undefined` while nothing runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Settles when the run that was started last has ended. */
  get exited(): Promise<Exit> {
    return this.#exited;
  }

  /** Starts and waits until the child serves. Rejects, with nothing left running, where it ends or does not serve in time. */
  async start(signal: AbortSignal = new AbortController().signal): Promise<void> {
    if (this.#child) throw new Error(`${this.launch.name} runs already`);
    const again = AbortSignal.timeout(this.launch.startAgainWithinMs ?? 0);
    for (;;) {
      const exit = await this.#startOnce(signal);
      if (!exit) return;
      if (again.aborted || signal.aborted) failStart(this.launch, `ended with ${describeExit(exit)}`);
      await delay(RETRY_MS);
    }
  }

  /** Resolves to how the child ended where it did not come to serve. */
  async #startOnce(signal: AbortSignal): Promise<Exit | undefined> {
    await this.launch.cleanUp?.();
    this.#exited = this.#follow(spawnChild(this.launch));
    const settled = new AbortController();
    const timeout = AbortSignal.timeout(this.launch.readyWithinMs);
    const waiting = waitUntilReady(this.launch, AbortSignal.any([settled.signal, timeout, signal]));
    const exit = await Promise.race([waiting, this.#exited]);
    settled.abort();
    if (exit || !(signal.aborted || timeout.aborted)) return exit;
    await this.kill("SIGKILL");
    return failStart(
      this.launch,
      signal.aborted ? "was told to stop" : `took over ${this.launch.readyWithinMs} ms`,
    );
  }

  /** Asks the child to end (`immediate`: without tidying up), kills it when it takes too long, and waits until it is gone. */
  async stop(mode: "graceful" | "immediate" = "graceful"): Promise<Exit> {
    const {
      stopSignal = "SIGTERM",
      immediateSignal = "SIGKILL",
      stopWithinMs = STOP_WITHIN_MS,
    } = this.launch;
    this.#child?.kill(mode === "graceful" ? stopSignal : immediateSignal);
    const timer = setTimeout(() => killGroup(this.#child?.pid, "SIGKILL"), stopWithinMs);
    try {
      return await this.#exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal to the child and everything it started, and waits until the child is gone. Only for signals that end it. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    killGroup(this.#child?.pid, signal);
    return await this.#exited;
  }

  async #follow(child: ChildProcess): Promise<Exit> {
    this.#child = child;
    this.launch.onPid?.(child.pid);
    const exit = await waitForExit(child);
    this.#child = undefined;
    this.launch.onPid?.(undefined);
    await this.launch.cleanUp?.();
    return exit;
  }
}

/** Sends a signal to a process group; nothing happens where it is gone. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function spawnChild(launch: Launch): ChildProcess {
  mkdirSync(dirname(launch.logPath), { recursive: true });
  const log = openSync(launch.logPath, "a");
  const { env, cwd, account } = launch;
  const child = spawn(launch.command, launch.args, {
    env,
    stdio: ["ignore", log, log],
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    ...account,
  });
  closeSync(log);
  return child;
}

function waitForExit(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    // A command that cannot be executed at all has no "exit".
    child.once("error", () => {
      if (child.pid === undefined) resolve({ code: 127, signal: null });
    });
  });
}

async function waitUntilReady(launch: Launch, signal: AbortSignal): Promise<undefined> {
  while (!signal.aborted) {
    if (await launch.isReady(signal).catch(() => false)) return;
    await delay(POLL_MS);
  }
}

function failStart(launch: Launch, what: string): never {
  throw new Error(`${launch.name} ${what}. The end of ${launch.logPath}:\n${endOfLog(launch.logPath)}`);
}

function endOfLog(path: string): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-SHOWN_LOG_LINES).join("\n");
}

/** Says in words how a process ended. */
export function describeExit({ code, signal }: Exit): string {
  return signal ? `signal ${signal}` : `exit code ${code}`;
}
