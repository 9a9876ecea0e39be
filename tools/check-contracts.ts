// `npm run check:contracts`: the gates of the contract. Touches nothing in the work tree. With `-- --against v1.2.0` callers are those
// of that revision, not of the merge base.

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { findBreakingChanges } from "./contracts/breaking.ts";
import { runCommand } from "./contracts/command.ts";
import { findStaleCode, findStalePages } from "./contracts/generated.ts";
import type { Verdict } from "./contracts/verdict.ts";

const { against } = parseArgs({ options: { against: { type: "string" } } }).values;
const repository = resolve(import.meta.dirname, "..");

const gates: readonly (readonly [name: string, gate: () => Promise<Verdict>])[] = [
  ["the contract follows buf's rules", () => verdictOf("lint")],
  [
    "it is formatted as buf formats it",
    () => verdictOf("format", "--diff", "--exit-code", "--path", "proto/souk"),
  ],
  ["gen/ is what buf makes of it", () => findStaleCode(repository)],
  ["docs/ lists its reasons, routes and events", () => findStalePages(repository)],
  ["it breaks no caller", () => findBreakingChanges(repository, against)],
];

for (const [name, gate] of gates) {
  const { faults, note } = await gate().catch((error: Error): Verdict => ({ faults: [error.message] }));
  const hint = note === undefined ? "" : ` (${note})`;
  console.log(faults.length === 0 ? `ok    ${name}${hint}` : `FAIL  ${name}${hint}`);
  for (const fault of faults) console.log(`      ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

async function verdictOf(...args: string[]): Promise<Verdict> {
  const { code, output } = await runCommand("buf", args, repository);
  return { faults: code === 0 ? [] : output.split("\n") };
}
