// Calls from inside the cluster: a small program is run in a pod, so what is seen is what that pod's identity and network see.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { kubectl, startKubectl, textOf } from "./kubectl.ts";
import { SHOP } from "./namespaces.ts";
import type { LoadReport, ProbeAnswer, ProbeCall, ProbeJob, ProbeToken } from "./probe.ts";

const program = readFileSync(join(import.meta.dirname, "probe.ts"), "utf8");
const EXEC_TIMEOUT_MS = 120_000;

/** What is exec'd into, as kubectl names it: `deploy/debug`, `pod/check-orders`. */
export type PodName = `${"deploy" | "pod" | "statefulset"}/${string}`;

const execArgs = (pod: PodName, job: ProbeJob) => {
  const node = ["node", "--input-type=module-typescript", "-e", program, JSON.stringify(job)];
  return ["--namespace", SHOP, "exec", "--stdin", pod, "--container", "app", "--", ...node];
};

/** Makes each call once, from that pod, one after the other; answers in the order of the calls. */
export async function callFrom(
  pod: PodName,
  calls: readonly ProbeCall[],
  token?: ProbeToken,
): Promise<ProbeAnswer[]> {
  if (calls.length === 0) return [];
  const output = await kubectl(execArgs(pod, { calls, token }), { timeoutMs: EXEC_TIMEOUT_MS });
  return JSON.parse(output) as ProbeAnswer[];
}

/** A load that runs until it is told to stop. */
export interface Load {
  /** Ends the load, waits for the calls under way, and resolves to what was seen. */
  stop(): Promise<LoadReport>;
}

/** What a load is, and how long it may last at most. */
export type LoadPlan = Required<ProbeJob> & { readonly timeoutMs: number };

/** Does something under load; the load ends with it at the latest, also where it fails. */
export async function underLoad<T>(
  pod: PodName,
  plan: LoadPlan,
  use: (load: Load) => Promise<T>,
): Promise<T> {
  const load = startLoad(pod, plan);
  try {
    return await use(load);
  } finally {
    // Whoever needed the report has asked for it.
    await load.stop().catch(() => {});
  }
}

/** Makes the calls in turn from a pod, at a steady rate, without ever repeating one. */
export function startLoad(pod: PodName, { calls, token, ratePerSecond, timeoutMs }: LoadPlan): Load {
  const child = startKubectl(execArgs(pod, { calls, token, ratePerSecond }), AbortSignal.timeout(timeoutMs));
  const ended = new Promise<void>((resolve) => child.once("close", resolve).once("error", () => resolve()));
  const output = textOf(child.stdout);
  const complaint = textOf(child.stderr);
  child.stdin.on("error", () => {});
  return {
    async stop() {
      child.stdin.end();
      await ended;
      const text = await output;
      if (text === "") throw new Error(`the load ended without a report: ${(await complaint).slice(-400)}`);
      return JSON.parse(text) as LoadReport;
    },
  };
}
