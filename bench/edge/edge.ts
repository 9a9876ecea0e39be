// bench/edge: what a request costs in the gateway's process, for the edge with policy and without, beside a floor, Envoy and
// connect-node's own parts, all in one run and in turns.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startField } from "./field.ts";
import { measureCells, measureTails, type Plan } from "./measure.ts";
import { toMarkdown } from "./report.ts";

/** `--rounds 5 --requests 3000 --warm-up 6000 --tail-seconds 5 --out FILE`; ENVOY names Envoy's binary. */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      requests: { type: "string", default: "3000" },
      "warm-up": { type: "string", default: "6000" },
      "tail-seconds": { type: "string", default: "5" },
      out: { type: "string" },
    },
  });
  const plan: Plan = {
    rounds: Number(values.rounds),
    requests: Number(values.requests),
    warmUp: Number(values["warm-up"]),
    tailMs: Number(values["tail-seconds"]) * 1_000,
  };
  const field = await startField(process.env.ENVOY);
  try {
    const cells = await measureCells(field, plan);
    const tails = plan.tailMs > 0 ? await measureTails(field, cells, plan) : [];
    const markdown = toMarkdown({ cells, tails, plan, envoy: field.envoy, flags: args.join(" ") });
    console.log(markdown);
    if (values.out) writeFileSync(values.out, markdown);
  } finally {
    await field.stop();
  }
}
