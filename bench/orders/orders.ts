// bench/orders: from submission over REST to the terminal event over SSE, with everything in between running.

import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { readUsages } from "../../tools/top/process-usage.ts";
import type { BuyersNote, BuyersRun, BuyersTask } from "./buyers.ts";
import { type Floor, findPgbench, measureFloor } from "./floor.ts";
import { type LevelResult, median, type OrdersResult, toMarkdown } from "./report.ts";
import { type BenchShop, startBenchShop } from "./shop.ts";

/** `--buyers 16,64,256 --warm-up 30 --seconds 60 --runs 3 --out FILE` */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      buyers: { type: "string", default: "16,64,256" },
      "warm-up": { type: "string", default: "30" },
      seconds: { type: "string", default: "60" },
      runs: { type: "string", default: "3" },
      "port-base": { type: "string", default: "12080" },
      out: { type: "string" },
    },
  });
  const plan = {
    warmUpMs: Number(values["warm-up"]) * 1_000,
    runMs: Number(values.seconds) * 1_000,
    runs: Number(values.runs),
  };
  const shop = await startBenchShop(Number(values["port-base"]));
  try {
    const levels = values.buyers.split(",").map(Number);
    const result = await measureLevels(shop, levels, plan);
    const markdown = toMarkdown({ ...result, flags: args.join(" ") });
    console.log(markdown);
    if (values.out) writeFileSync(values.out, markdown);
  } finally {
    await shop.stop();
  }
}

type Plan = Pick<BuyersTask, "warmUpMs" | "runMs" | "runs">;

async function measureLevels(
  shop: BenchShop,
  levels: readonly number[],
  plan: Plan,
): Promise<Omit<OrdersResult, "flags">> {
  const tokens = await shop.tokens(64);
  const productIds = await shop.productIds();
  const { gatewayUrl } = shop.running;
  const results: LevelResult[] = [];
  for (const buyers of levels) {
    console.error(`${buyers} buyers`);
    results.push(await measureLevel(shop, { gatewayUrl, tokens, productIds, buyers, ...plan }));
  }
  return {
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    node: process.version,
    durability: await shop.durability(),
    plan: `${plan.warmUpMs / 1_000} s warm-up, ${plan.runs} runs of ${plan.runMs / 1_000} s, medians`,
    levels: results,
    floor: await measureSqlFloor(shop, plan.runMs / 1_000),
  };
}

/** After the levels, so that what it leaves behind for vacuum and checkpoints is not theirs. */
async function measureSqlFloor(shop: BenchShop, seconds: number): Promise<Floor | undefined> {
  const pgbench = findPgbench();
  if (!pgbench) return undefined;
  console.error("pgbench");
  const databaseUrl = await shop.createDatabase("floor");
  return await measureFloor({
    pgbench,
    databaseUrl,
    seconds,
    cpuMs: () => shop.cpuMs().get("postgres") ?? 0,
  });
}

async function measureLevel(shop: BenchShop, task: BuyersTask): Promise<LevelResult> {
  const child = fork(new URL("./buyers.ts", import.meta.url));
  const runs: (BuyersRun & { cpuMs: Map<string, number> })[] = [];
  let before = new Map<string, number>();
  let generatorBefore = 0;
  const generatorCpuMs = () => cpuOf(child.pid ?? 0);
  child.on("message", (note: BuyersNote) => {
    if ("begins" in note) {
      before = shop.cpuMs();
      generatorBefore = generatorCpuMs();
      return;
    }
    const cpuMs = new Map([...shop.cpuMs()].map(([name, ms]) => [name, ms - (before.get(name) ?? 0)]));
    cpuMs.set("generator", generatorCpuMs() - generatorBefore);
    runs.push({ ...note.run, cpuMs });
  });
  child.send(task);
  await new Promise((resolve) => child.once("exit", resolve));
  return toLevel(task.buyers, runs);
}

function toLevel(buyers: number, runs: readonly (BuyersRun & { cpuMs: Map<string, number> })[]): LevelResult {
  const names = [...(runs[0]?.cpuMs.keys() ?? [])];
  const perOrder = (name: string) =>
    median(runs.map((run) => (run.cpuMs.get(name) ?? 0) / run.durationsMs.length));
  return {
    buyers,
    ordersPerSecond: median(runs.map((run) => run.durationsMs.length / run.seconds)),
    p50Ms: median(runs.map((run) => percentile(run.durationsMs, 0.5))),
    p99Ms: median(runs.map((run) => percentile(run.durationsMs, 0.99))),
    cpuMsPerOrder: new Map(names.map((name) => [name, perOrder(name)])),
    failures: runs.reduce((sum, run) => sum + Object.values(run.failures).reduce((a, b) => a + b, 0), 0),
  };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function cpuOf(pid: number): number {
  return readUsages([pid]).get(pid)?.cpuMs ?? 0;
}
