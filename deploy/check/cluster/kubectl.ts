// The one way to the cluster: kubectl, as a person would use it. Every command has a deadline.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

const KUBECTL = process.env.KUBECTL ?? "kubectl";
const TIMEOUT_MS = 60_000;
/** A hundred and fifty objects, each past the webhooks of the mesh. */
const APPLY_TIMEOUT_MS = 240_000;
/** Of what a command complained about, what is worth showing. */
const COMPLAINT_LENGTH = 600;

/** How one command is run. */
export interface KubectlOptions {
  /** What it reads from standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs kubectl to its end and resolves to what it printed; rejects with what it complained about. */
export async function kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
  const { input, timeoutMs = TIMEOUT_MS } = options;
  const child = startKubectl(args, AbortSignal.timeout(timeoutMs));
  child.stdin.on("error", () => {}).end(input);
  const [output, complaint, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, signal) => resolve(code ?? `${signal} after ${timeoutMs / 1000} s`));
    }),
  ]);
  if (code === 0) return output;
  const what = `kubectl ${args.join(" ").slice(0, 120)}`;
  throw new Error(`${what} ended with ${code}: ${complaint.trim().slice(-COMPLAINT_LENGTH)}`);
}

/** Starts kubectl and leaves it running until it ends or the signal aborts. */
export function startKubectl(
  args: readonly string[],
  signal: AbortSignal,
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(KUBECTL, args, { signal, stdio: ["pipe", "pipe", "pipe"] });
}

/** What a command prints as JSON. */
export async function readJson<T>(args: readonly string[]): Promise<T> {
  // A raw path is answered with JSON as it is.
  const format = args.includes("--raw") ? [] : ["--output=json"];
  return JSON.parse(await kubectl([...args, ...format])) as T;
}

/** Applies objects, or a stream of YAML documents. */
export async function apply(objects: string | readonly object[]): Promise<void> {
  const input =
    typeof objects === "string" ? objects : objects.map((one) => JSON.stringify(one)).join("\n---\n");
  const args = ["apply", "--server-side", "--force-conflicts", "--filename=-"];
  await kubectl(args, { input, timeoutMs: APPLY_TIMEOUT_MS });
}

/** Everything a stream says until it ends. */
export async function textOf(stream: Readable): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {});
  for await (const chunk of stream) text += chunk;
  return text;
}
