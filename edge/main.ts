// `npm run edge`: serves REST, Connect, gRPC-Web and gRPC in front of gRPC servers until SIGTERM or SIGINT.

import { FlagError, helpText, readFlags } from "./program/flags.ts";
import { startProgram } from "./program/program.ts";

const complain = (text: string) => process.stderr.write(`edge: ${text}\n`);

/** Runs until it is told to end; resolves with the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  if (flags.help) {
    process.stdout.write(helpText());
    return 0;
  }
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const program = await startProgram(flags);
  // Before the line that says that all is ready.
  if (program.operationsPort !== undefined)
    process.stdout.write(`operations on port ${program.operationsPort}\n`);
  const scheme = flags.tls.certFile === undefined ? "http" : "https";
  process.stdout.write(
    `listening on port ${program.port}: ${scheme}://${urlHost(flags.listen.host)}:${program.port}\n`,
  );
  for (const line of program.served) process.stdout.write(`serving ${line}\n`);
  await signalled;
  await program.stop();
  return 0;
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

// Whoever reads our output may go before we do.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const { message } = error as Error;
  complain(error instanceof FlagError ? `${message}\nedge: --help tells the flags` : message);
  process.exitCode = error instanceof FlagError ? 2 : 1;
}
