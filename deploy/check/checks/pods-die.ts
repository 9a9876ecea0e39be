import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../check.ts";
import { writeAgainstFile } from "../cluster/against.ts";
import { kubectl, textOf } from "../cluster/kubectl.ts";
import { SERVICES, SHOP, STORES } from "../cluster/namespaces.ts";
import { untilRolledOut } from "../cluster/shop.ts";
import { until } from "../cluster/until.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");
const DOORS_WITHIN_MS = 60_000;
/** Of the load's time, the part in which pods are killed: the first orders are placed before, the last ones after. */
const DEATHS_FROM = 0.1;
const DEATHS_UNTIL = 0.85;
const ORDERS_PER_SECOND = 3;
/** The harness asks its invariants of every order; of their number only what a node of two cores does beside the mesh. */
const SPEED = 0.2;
const AROUND_MS = 240_000;
/** What is shown of a harness that came to no report. */
const LAST_WORDS = 2_000;

/** One pod, or all of a workload, gone at once. */
interface Death {
  readonly namespace: string;
  readonly selector: string;
  /** Without grace a process has the second that the kubelet leaves it, and then gets SIGKILL. */
  readonly graceful: boolean;
}

/** Stores and services die while people buy; every accepted order ends, and every cent and piece is where it belongs. */
export const podsDie: Check = {
  name: "pods-die",
  async run({ chaosMinutes }, report) {
    const folder = mkdtempSync(join(tmpdir(), "souk-cluster-"));
    const doors = new AbortController();
    try {
      const file = join(folder, "against.json");
      await writeAgainstFile(file, doors.signal);
      await untilOpen(file);
      const [{ code, text }, deaths] = await Promise.all([
        buy(file, folder, chaosMinutes),
        killPods(chaosMinutes * 60_000),
      ]);
      const claim = `${deaths.join(", ")} die under load: every accepted order ends, nothing is lost`;
      report.expect(code === 0, claim, text);
      for (const service of SERVICES) await untilRolledOut(service, DOORS_WITHIN_MS);
    } finally {
      doors.abort();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function untilOpen(file: string): Promise<void> {
  const { gatewayUrl, issuerUrl } = (await import(file, { with: { type: "json" } })).default as Record<
    string,
    string
  >;
  for (const url of [`${gatewayUrl}/v1/products`, `${issuerUrl}/.well-known/jwks.json`])
    await until(`a door at ${url}`, DOORS_WITHIN_MS, async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
      return response?.ok ? true : undefined;
    });
}

/** Runs the consistency harness; resolves to its exit code and what it came to. */
async function buy(file: string, folder: string, minutes: number) {
  const load = ["--minutes", `${minutes}`, "--rate", `${ORDERS_PER_SECOND}`, "--speed", `${SPEED}`];
  const args = ["chaos/main.ts", ...load, "--against", file, "--out", folder];
  const timeout = minutes * 60_000 + AROUND_MS / SPEED;
  const child = spawn(process.execPath, args, {
    cwd: REPOSITORY,
    timeout,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [text, code] = await Promise.all([
    textOf(child.stdout),
    new Promise<number | null>((resolve) => child.once("close", resolve).once("error", () => resolve(null))),
  ]);
  return { code, text: verdictIn(text) };
}

/** How it went by the report, and what it asked and reached; of a run that never came to one, its last words. */
export function verdictIn(text: string): string {
  const verdict = /^\*\*(.+)\*\*$/m.exec(text)?.[1];
  if (verdict === undefined) return text.trim().slice(-LAST_WORDS);
  const accepted = /^\| orders accepted \| (\d+) \| (\d+) \|$/m.exec(text);
  const again = /^\| requests without an answer, asked again \| (\d+) \|$/m.exec(text)?.[1] ?? "0";
  const invariants = text.slice(text.indexOf("## Invariants"), text.indexOf("## Orders"));
  const broken = invariants.split("\n").filter((line) => line.startsWith("- "));
  return [
    `${verdict} ${accepted?.[2]} orders were accepted (${accepted?.[1]} asked for), ${again} requests asked again`,
    ...broken.map((line) => line.slice(2)),
  ].join("; ");
}

/** Kills pods one after the other, evenly over the time; resolves to what died. */
async function killPods(durationMs: number): Promise<string[]> {
  const shop = (name: string): Death => ({
    namespace: SHOP,
    selector: `app.kubernetes.io/name=${name}`,
    graceful: false,
  });
  const store = (name: string): Death => ({
    namespace: STORES,
    selector: `app.kubernetes.io/name=${name}`,
    graceful: true,
  });
  const deaths = [
    shop("orders"),
    store("postgres"),
    shop("payments"),
    store("nats"),
    shop("inventory"),
    shop("gateway"),
  ];
  const betweenMs = (durationMs * (DEATHS_UNTIL - DEATHS_FROM)) / deaths.length;
  await delay(durationMs * DEATHS_FROM);
  const died: string[] = [];
  for (const { namespace, selector, graceful } of deaths) {
    const how = graceful ? [] : ["--grace-period=0", "--force"];
    await kubectl([
      "--namespace",
      namespace,
      "delete",
      "pod",
      `--selector=${selector}`,
      "--wait=false",
      ...how,
    ]);
    died.push(`${selector.split("=")[1]}${graceful ? "" : " (no grace)"}`);
    await delay(betweenMs);
  }
  return died;
}
