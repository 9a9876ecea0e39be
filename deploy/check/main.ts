// `npm run cluster:check`: puts the shop into the cluster of KUBECONFIG and tries what is claimed of it there.

import { createReport, runChecks } from "./check.ts";
import { CHECKS } from "./checks.ts";
import { removeShop } from "./cluster/shop.ts";
import { readFlags, usage } from "./flags.ts";

const WRONG_USE = 2;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const names = CHECKS.map(({ name }) => name);
  try {
    const asked = readFlags(args, names);
    if (asked.help) {
      console.log(usage(names));
      return 0;
    }
    const chosen = CHECKS.filter(({ name }) => asked.only.length === 0 || asked.only.includes(name));
    const report = createReport(console.log);
    await runChecks(chosen, asked, report);
    if (!asked.keep && asked.only.length === 0) await removeShop();
    const { PASS, FAIL, SKIPPED } = report.counts;
    console.log(`${PASS} passed, ${FAIL} failed, ${SKIPPED} skipped`);
    return FAIL === 0 ? 0 : 1;
  } catch (error) {
    console.error((error as Error).message);
    return WRONG_USE;
  }
}
