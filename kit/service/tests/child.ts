import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { serviceEnvironment, type TestService } from "#kit/testing/testing.ts";

/** The fixture service as a process of its own. */
export interface Child {
  readonly process: ChildProcess;
  readonly url: string;
  readonly metricsUrl: string;
  /** Settles when the process has ended: with its code, or the signal that ended it. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }>;
}

// Whoever ends a process by process.exit is found out by the exit code.
const guard = "data:text/javascript,process.exit = () => process.reallyExit(99);";

/** Starts the fixture service as a process, on a database and a prefix, and waits until it is ready. */
export async function startChild(
  { database, prefix }: Pick<TestService, "database" | "prefix">,
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const main = fileURLToPath(new URL("../../testing/fixture/main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", guard, main], {
    env: { ...serviceEnvironment("counters", database, prefix), LOG_LEVEL: "info", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, output }));
  const ready = new Promise<{ port: number; metricsPort: number }>((resolve) => {
    const read = (text: Buffer) => {
      output += text;
      const line = /^\{.*"msg":"ready".*\}$/m.exec(output);
      if (line) resolve(JSON.parse(line[0]));
    };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", read);
  });
  const died = ended.then(() =>
    Promise.reject(new Error(`the service ended before it was ready:\n${output}`)),
  );
  died.catch(() => {});
  const { port, metricsPort } = await Promise.race([ready, died]);
  return {
    process: child,
    url: `http://127.0.0.1:${port}`,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    ended,
  };
}
