// `npm run souk`: what an operator sees and does when something is stuck.

import { WrongUse } from "./souk/command.ts";
import { openDesk } from "./souk/desk.ts";
import { readSoukFlags, type SoukFlags } from "./souk/flags.ts";

const REFUSED = 1;
const WRONG_USE = 2;

await run().catch(complain);

async function run(): Promise<void> {
  const flags = readSoukFlags(process.argv.slice(2), process.env);
  if ("help" in flags) console.log(flags.help);
  else await act(flags);
}

async function act(flags: Exclude<SoukFlags, { help: string }>): Promise<void> {
  const { json } = flags;
  const asked = "actInCluster" in flags ? flags.actInCluster() : flags.act(await openDesk(flags.desk));
  const { text, entries, refusals } = await asked;
  if (json) for (const entry of entries) console.log(JSON.stringify(entry));
  // Where somebody could not say, nobody knows that there is nothing.
  else if (text !== "" && (entries.length > 0 || refusals.length === 0)) console.log(text);
  for (const refusal of refusals) console.error(refusal);
  if (refusals.length > 0) process.exitCode = REFUSED;
}

function complain(error: Error): void {
  console.error(error.message);
  process.exitCode = error instanceof WrongUse ? WRONG_USE : REFUSED;
}
