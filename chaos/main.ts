// `npm run chaos`: breaks a shop while people buy from it, and says what held.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plantedBugs } from "#kit/failpoints/planted.ts";
import { urlOf } from "../tools/start/processes.ts";
import { readAgainst } from "./against.ts";
import { archive } from "./archive.ts";
import type { Access } from "./evidence/access.ts";
import { planFaults } from "./faults/schedule.ts";
import { parseFlags, type RunOptions, usage } from "./flags.ts";
import { searchFor } from "./planted.ts";
import { conclude } from "./report/conclude.ts";
import { type RunOutcome, type RunPlan, runOnce } from "./run.ts";
import { DATABASE_NAMES, LINK_NAMES, portOf, REPLICATED } from "./shop/ports.ts";
import { type ChaosShop, startShop } from "./shop/shop.ts";
import { usualRegrets } from "./workload/intention.ts";

/** With the seconds since the start. */
const say = (line: string) => console.error(`chaos: ${Math.round(performance.now() / 1_000)} s: ${line}`);
const restWithinMs = 60_000;
const faultsEndWithinMs = 20_000;
/** What does not come to rest in this time with a bug planted has shown it. */
const hasty = { faultsEndWithinMs: 1_000, restWithinMs: 12_000 };

// Connections that the run itself has broken may still be waiting for something: nothing of this process is needed any more.
process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  try {
    const asked = parseFlags(args);
    if ("show" in asked) {
      console.log(asked.show === "help" ? usage : plantedBugs.join("\n"));
      return 0;
    }
    return await runAsked(asked.run, `npm run chaos -- ${args.join(" ")}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  }
}

async function runAsked(options: RunOptions, command: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "souk-chaos-"));
  const plan = planRun(options, folder);
  const outcome = await (options.against === undefined
    ? runOwn(plan, options)
    : runOnce({ ...plan, faults: [] }, readAgainst(options.against), undefined));
  const conclusion = conclude(options, command, outcome);
  console.log(conclusion.report);
  const asExpected = conclusion.exitCode === (options.planted === undefined ? 0 : 1);
  if (!asExpected) say(`kept for study: ${archive(folder, options, conclusion)}`);
  if (!options.keep) rmSync(folder, { recursive: true, force: true });
  return conclusion.exitCode;
}

function planRun(options: RunOptions, folder: string): RunPlan {
  const common = { seed: options.seed, folder, say, restWithinMs: restWithinMs / options.speed };
  if (options.planted === undefined) {
    const durationMs = options.minutes * 60_000;
    const faults = planFaults({ ...options, durationMs, services: REPLICATED, links: LINK_NAMES });
    const { ordersPerSecond } = options;
    return { ...common, faultsEndWithinMs, durationMs, faults, ordersPerSecond, regrets: usualRegrets };
  }
  const { seconds, ordersPerSecond, regrets, ...search } = searchFor(options.planted);
  const durationMs = seconds * 1_000;
  const faults = planFaults({ ...search, seed: options.seed, variant: "random", durationMs });
  return { ...common, ...hasty, durationMs, faults, ordersPerSecond, regrets };
}

async function runOwn(plan: RunPlan, { seed, planted }: RunOptions): Promise<RunOutcome> {
  say(`starting a shop in ${plan.folder}`);
  const shop = await startShop({ folder: join(plan.folder, "shop"), seed, planted });
  try {
    return await runOnce(plan, accessOf(shop), shop);
  } finally {
    await shop.stop();
  }
}

function accessOf({ ports, stores, secrets }: ChaosShop): Access {
  const url = (name: string) => urlOf(portOf(ports, name));
  return {
    gatewayUrl: url("link:gateway"),
    issuerUrl: url("issuer"),
    postgresUrl: stores.postgres.url,
    natsUrl: stores.nats.url,
    cardProcessor: { url: url("card-processor"), key: secrets.cardProcessorKey },
    carrier: { url: url("carrier"), key: secrets.carrierKey },
    databases: DATABASE_NAMES,
  };
}
