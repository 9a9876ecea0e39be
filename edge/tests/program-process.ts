import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** The program as a process of its own. */
export interface EdgeProcess {
  readonly port: number;
  readonly operationsPort: number | undefined;
  readonly child: ChildProcess;
  /** What it has written so far, both streams. */
  readonly output: () => string;
  /** Sends SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** How a process ended that never listened. */
export interface Refused {
  readonly code: number | null;
  readonly output: string;
}

function launch(args: readonly string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      for (const listener of listeners) listener();
    });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, ended, output: () => output, onOutput: (listener: () => void) => listeners.add(listener) };
}

/** Starts the program and waits until it has told its port; rejects with its output when it ends instead. */
export async function startProgram(args: readonly string[]): Promise<EdgeProcess> {
  const { child, ended, output, onOutput } = launch(args);
  const port = await new Promise<number>((resolve, reject) => {
    onOutput(() => {
      const told = /^listening on port (\d+)/m.exec(output());
      if (told) resolve(Number(told[1]));
    });
    void ended.then(() => reject(new Error(output())));
  });
  const operations = /^operations on port (\d+)/m.exec(output())?.[1];
  return {
    port,
    operationsPort: operations === undefined ? undefined : Number(operations),
    child,
    output,
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Runs the program where it must refuse to start, or just prints something. */
export async function runProgram(args: readonly string[]): Promise<Refused> {
  const { ended, output } = launch(args);
  return { code: await ended, output: output() };
}
