import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const START_TIMEOUT_MS = 15_000;

/** A sandbox running as its own process, for tests. */
export type SandboxProcess = {
  /** `http://127.0.0.1:port` */
  url: string;
  port: number;
  /** Ends the process with a signal (SIGTERM unless told otherwise) and resolves with its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

/**
 * Starts `sandboxes/<name>/main.ts` on a free port and waits until it listens; rejects with what it printed when it
 * ends before that or takes longer than 15 s.
 */
export async function startSandboxProcess(
  name: "card-processor" | "carrier",
  env: Record<string, string>,
): Promise<SandboxProcess> {
  const path = fileURLToPath(new URL(`./${name}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { PATH: process.env.PATH, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await listeningPort(child);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}

async function listeningPort(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error("the sandbox has no output to read");
  const printed: string[] = [];
  const timer = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      printed.push(text);
      const line = JSON.parse(text);
      if (line.msg === "listening") return line.port;
    }
  } finally {
    clearTimeout(timer);
    // What it prints from now on is of no interest, but must be read, or the process would block on a full pipe.
    child.stdout.resume();
  }
  throw new Error(`the sandbox did not start: ${printed.join("\n")}`);
}
