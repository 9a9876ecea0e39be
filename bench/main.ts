// `npm run bench -- orders`, `relay`, `consume` or `edge`; flags after the name go to the benchmark.

const [name, ...args] = process.argv.slice(2);
const benchmarks: Record<string, () => Promise<{ run(args: readonly string[]): Promise<void> }>> = {
  consume: () => import("./consume/consume.ts"),
  edge: () => import("./edge/edge.ts"),
  orders: () => import("./orders/orders.ts"),
  relay: () => import("./relay/relay.ts"),
};
const load = benchmarks[name ?? ""];
if (load) await (await load()).run(args);
else {
  console.error(`Name a benchmark: ${Object.keys(benchmarks).join(", ")}`);
  process.exitCode = 2;
}
