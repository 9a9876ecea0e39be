import { log } from "./log.ts";

/** A running sandbox. */
export type Running = { port: number; stop(): Promise<void> };

/** Starts a sandbox, says where it listens, and stops it on SIGTERM or SIGINT. A start that fails ends with code 1. */
export async function runSandbox(name: string, start: () => Promise<Running>): Promise<void> {
  const running = await start().catch((cause: unknown) => {
    log("cannot start", { sandbox: name, error: cause instanceof Error ? cause.message : String(cause) });
    process.exitCode = 1;
  });
  if (running === undefined) return;
  log("listening", { port: running.port, sandbox: name, pid: process.pid });
  await new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  await running.stop();
  log("stopped", { sandbox: name });
}
