// `npm run simulate`: histories of the simulated shop, as many as asked for, until one goes wrong.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Failure } from "./check-histories.ts";
import { edges } from "./edges.ts";
import { mutations } from "./mutations.ts";
import { type Errand, type Searcher, startSearcher } from "./searcher.ts";

const help = `Simulates the shop: lost, repeated, reordered and late messages, processes that die between any two effects.

  npm run simulate                                      20,000 histories of seed 1
  npm run simulate -- --histories 1000000 --seed 7      a long run
  npm run simulate -- --seed 7 --path 108:3:1           one history again, as a failure names it
  npm run simulate -- --planted "a step has no undo"    with a bug on purpose; --list-planted names them

A thread per core. Ends with 0 when all is well, 1 when a history went wrong or 20,000 missed an edge of a saga,
2 for flags that make no sense.`;

/** Histories of one seed, between two lines of progress. */
const chunk = 2_500;
/** So many take every edge of every saga. */
const enoughForAllEdges = 20_000;

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
  const { planted, path } = values;
  if (planted !== undefined && !mutations[planted])
    throw new Error(`There is no planted bug "${planted}"; --list-planted names them.`);
  const [histories, seed] = [toNumber("histories", values.histories), toNumber("seed", values.seed)];
  const errands =
    path === undefined ? errandsOf(histories, seed, planted) : [{ histories: 1, seed, path, planted }];
  const { failure, taken } = await searchTogether(errands);
  if (failure) return complain(failure, planted);
  if (path !== undefined) return console.log("That history is well.");
  for (const [edge, times] of [...taken].sort()) console.log(`${String(times).padStart(9)}  ${edge}`);
  const missed = edges.filter((edge) => !taken.has(edge));
  if (planted !== undefined || histories < enoughForAllEdges || missed.length === 0) return;
  console.error(`no history took: ${missed.join(", ")}`);
  process.exitCode = 1;
}

function toNumber(name: string, text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number > 0) return number;
  throw new Error(`--${name} is a whole number from 1 to 999999999, not "${text}".`);
}

/** The same histories whatever the number of threads. */
function errandsOf(histories: number, seed: number, planted: string | undefined): Errand[] {
  return Array.from({ length: Math.ceil(histories / chunk) }, (_, n) => ({
    histories: Math.min(chunk, histories - n * chunk),
    seed: seed + n,
    path: undefined,
    planted,
  }));
}

interface Result {
  readonly failure: Failure | undefined;
  readonly taken: ReadonlyMap<string, number>;
}

/** Each thread takes the next errand, until all are done or one has found a failure. */
async function searchTogether(errands: readonly Errand[]): Promise<Result> {
  const startedAtMs = performance.now();
  const left = [...errands];
  const taken = new Map<string, number>();
  let done = 0;
  let failure: Failure | undefined;
  const work = async (searcher: Searcher) => {
    for (let errand = left.shift(); errand && !failure; errand = left.shift()) {
      const found = await searcher.search(errand);
      done += found.ran;
      for (const [edge, times] of found.edges) taken.set(edge, (taken.get(edge) ?? 0) + times);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      console.log(`${done} histories, ${seconds.toFixed(1)} s, seed ${errand.seed}`);
      failure ??= found.failure;
    }
    await searcher.end();
  };
  const threads = Math.min(availableParallelism(), errands.length);
  await Promise.all(Array.from({ length: threads }, () => work(startSearcher())));
  return { failure, taken };
}

function complain({ violations, plan, seed, path }: Failure, planted: string | undefined) {
  const flags = planted === undefined ? "" : ` --planted "${planted}"`;
  const shown = JSON.stringify(plan, (_, value) => (typeof value === "bigint" ? String(value) : value));
  console.error(
    `${violations}\n\n${shown}\n\nAgain: npm run simulate -- --seed ${seed} --path ${path}${flags}`,
  );
  process.exitCode = 1;
}
