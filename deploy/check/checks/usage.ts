import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../check.ts";
import { startLoad } from "../cluster/caller.ts";
import { readJson } from "../cluster/kubectl.ts";
import { SHOP, STORES } from "../cluster/namespaces.ts";
import { mebisOf } from "../cluster/quantities.ts";
import { anybody, orderCall, readCalls } from "../cluster/requests.ts";
import { pickProduct } from "./order-confirmed.ts";
import { inWords } from "./rolling-restart.ts";

const LOAD_MS = 60_000;
const SAMPLE_EVERY_MS = 10_000;
/** V8 collects hard near its own bound, which is at 70 % of the limit for old objects alone. */
const MOST_OF_LIMIT = 0.85;

/** What a container uses, by the kubelet's own count. */
interface Use {
  readonly workload: string;
  readonly container: string;
  readonly memoryMebis: number;
  readonly cpuMillis: number;
}

/** Under orders and reads, what each pod takes, and that none comes near the memory at which it would be killed. */
export const usage: Check = {
  name: "usage",
  async run({ usageRate }, report) {
    const order = orderCall(await pickProduct());
    const calls = [order, readCalls.gateway, readCalls.catalog, readCalls.orders];
    const load = startLoad("deploy/debug", {
      ...{ calls, token: anybody, ratePerSecond: usageRate, timeoutMs: 3 * LOAD_MS },
    });
    const peaks = new Map<string, Use>();
    for (let passedMs = 0; passedMs < LOAD_MS; passedMs += SAMPLE_EVERY_MS) {
      await delay(SAMPLE_EVERY_MS);
      for (const use of await readUse()) peaks.set(keyOf(use), higher(use, peaks.get(keyOf(use))));
    }
    const seen = await load.stop();
    const orders = Math.round(usageRate / calls.length);
    report.expect(
      seen.failed === 0,
      `${orders} orders and ${usageRate - orders} reads a second are answered`,
      inWords(seen),
    );
    const limits = await readLimits();
    for (const use of [...peaks.values()].sort((a, b) => keyOf(a).localeCompare(keyOf(b)))) {
      const limit = limits.get(keyOf(use)) ?? Number.POSITIVE_INFINITY;
      const amount = `${Math.round(use.memoryMebis)} MiB of ${Math.round(limit)}, ${Math.round(use.cpuMillis)}m CPU at the most`;
      report.expect(
        use.memoryMebis <= limit * MOST_OF_LIMIT,
        `${keyOf(use)} keeps within its memory`,
        amount,
      );
    }
  },
};

const keyOf = ({ workload, container }: Pick<Use, "workload" | "container">) => `${workload}/${container}`;

const higher = (a: Use, b: Use = a): Use => ({
  ...a,
  memoryMebis: Math.max(a.memoryMebis, b.memoryMebis),
  cpuMillis: Math.max(a.cpuMillis, b.cpuMillis),
});

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string };
    readonly containers?: readonly {
      readonly name: string;
      readonly cpu?: { readonly usageNanoCores?: number };
      readonly memory?: { readonly workingSetBytes?: number };
    }[];
  }[];
}

async function readUse(): Promise<Use[]> {
  const nodes = await readJson<{ items: { metadata: { name: string } }[] }>(["get", "nodes"]);
  const uses: Use[] = [];
  for (const { metadata } of nodes.items) {
    const { pods } = await readJson<Summary>([
      "get",
      "--raw",
      `/api/v1/nodes/${metadata.name}/proxy/stats/summary`,
    ]);
    for (const { podRef, containers = [] } of pods.filter(({ podRef }) => isOurs(podRef.namespace)))
      for (const { name, cpu, memory } of containers)
        uses.push({
          workload: workloadOf(podRef.name),
          container: name,
          memoryMebis: mebisOf(`${memory?.workingSetBytes ?? 0}`),
          cpuMillis: (cpu?.usageNanoCores ?? 0) / 1e6,
        });
  }
  return uses;
}

const isOurs = (namespace: string) => namespace === SHOP || namespace === STORES;

/** `orders` of `orders-7d9c5bfb8-x2x5k`, `postgres` of `postgres-0`. */
export const workloadOf = (pod: string): string => pod.replace(/(-[a-z0-9]{6,10}-[a-z0-9]{5}|-\d+)$/, "");

async function readLimits(): Promise<Map<string, number>> {
  type Container = { name: string; resources?: { limits?: { memory?: string } } };
  type Item = { metadata: { name: string }; spec: { containers: Container[]; initContainers?: Container[] } };
  const limits = new Map<string, number>();
  for (const namespace of [SHOP, STORES]) {
    const { items } = await readJson<{ items: Item[] }>(["--namespace", namespace, "get", "pods"]);
    for (const { metadata, spec } of items)
      for (const { name, resources } of [...spec.containers, ...(spec.initContainers ?? [])])
        if (resources?.limits?.memory !== undefined)
          limits.set(
            keyOf({ workload: workloadOf(metadata.name), container: name }),
            mebisOf(resources.limits.memory),
          );
  }
  return limits;
}
