// `npm run simulate`: histories of the simulated shop, as many as asked for, until one goes wrong.
import { parseArgs } from "node:util";
import { checkHistories, type Failure } from "./check-histories.ts";
import { type Mutation, mutations, unbroken } from "./mutations.ts";

const help = `Simulates the shop: lost, repeated, reordered and late messages, processes that die between any two effects.

  npm run simulate                                      20,000 histories of seed 1
  npm run simulate -- --histories 1000000 --seed 7      a long run
  npm run simulate -- --seed 7 --path 108:3:1           one history again, as a failure names it
  npm run simulate -- --planted "a step has no undo"    with a bug on purpose; --list-planted names them

Ends with 0 when all is well, 1 when a history went wrong, 2 for flags that make no sense.`;

/** Histories between two lines of progress. */
const chunk = 5_000;

await main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exitCode = 2;
});

async function main() {
  const { values } = parseArgs({
    options: {
      histories: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      path: { type: "string" },
      planted: { type: "string" },
      "list-planted": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return console.log(help);
  if (values["list-planted"]) return console.log(Object.keys(mutations).join("\n"));
  const mutation = values.planted === undefined ? unbroken : mutationOf(values.planted);
  const [histories, seed] = [toNumber("histories", values.histories), toNumber("seed", values.seed)];
  const failure =
    values.path === undefined
      ? await search(histories, seed, mutation)
      : (await checkHistories({ histories: 1, seed, path: values.path, shrink: false }, mutation)).failure;
  if (failure) complain(failure, values.planted);
  else if (values.path !== undefined) console.log("That history is well.");
}

function mutationOf(name: string): Mutation {
  const found = mutations[name];
  if (!found) throw new Error(`There is no planted bug "${name}"; --list-planted names them.`);
  return found;
}

function toNumber(name: string, text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number > 0) return number;
  throw new Error(`--${name} is a whole number from 1 to 999999999, not "${text}".`);
}

async function search(wanted: number, seed: number, mutation: Mutation): Promise<Failure | undefined> {
  const startedAt = performance.now();
  const edges = new Map<string, number>();
  for (let done = 0, next = seed; done < wanted; next += 1) {
    const histories = Math.min(chunk, wanted - done);
    const found = await checkHistories({ histories, seed: next, shrink: mutation === unbroken }, mutation);
    done += found.ran;
    for (const [edge, times] of found.edges) edges.set(edge, (edges.get(edge) ?? 0) + times);
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(`${done} histories, ${seconds.toFixed(1)} s, seed ${next}`);
    if (found.failure) return found.failure;
  }
  for (const [edge, times] of [...edges].sort()) console.log(`${String(times).padStart(9)}  ${edge}`);
  return undefined;
}

function complain({ violations, plan, seed, path }: Failure, planted: string | undefined) {
  const flags = planted === undefined ? "" : ` --planted "${planted}"`;
  const shown = JSON.stringify(plan, (_, value) => (typeof value === "bigint" ? String(value) : value));
  console.error(
    `${violations}\n\n${shown}\n\nAgain: npm run simulate -- --seed ${seed} --path ${path}${flags}`,
  );
  process.exitCode = 1;
}
