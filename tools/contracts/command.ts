import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";

/** How a command ended, and all it said. */
export type CommandResult = { code: number; output: string };

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64_000_000;
/** Also where a script was started without npm, tools are those of the lock file. */
const PATH = [join(import.meta.dirname, "../../node_modules/.bin"), process.env.PATH].join(delimiter);

/** Runs a command in a folder to its end. Rejects only where it cannot be started. */
export function runCommand(command: string, args: readonly string[], folder: string): Promise<CommandResult> {
  const options = {
    cwd: folder,
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...process.env, PATH },
  };
  return new Promise((resolve, reject) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.code ?? 1);
      if (typeof code === "string") reject(error);
      else resolve({ code, output: `${stdout}${stderr}`.trim() });
    });
  });
}

/** Runs a command that has to succeed, and resolves to what it said. */
export async function outputOf(command: string, args: readonly string[], folder: string): Promise<string> {
  const { code, output } = await runCommand(command, args, folder);
  if (code === 0) return output;
  throw new Error(`"${[command, ...args].join(" ")}" ended with exit code ${code}: ${output}`);
}
