import { setTimeout as delay } from "node:timers/promises";
import type { Check } from "../check.ts";
import { kubectl } from "../cluster/kubectl.ts";
import { SHOP } from "../cluster/namespaces.ts";
import { isReady, type Pod, podsOf, scale } from "../cluster/shop.ts";
import { until } from "../cluster/until.ts";
import { inWords, isFlawless, startMixedLoad } from "./rolling-restart.ts";

const SERVICE = "orders";
const REPLACED_WITHIN_MS = 120_000;
const DRAINED_MS = 12_000;

/** A node that is drained takes pods one at a time, as their budget says, and no caller notices. */
export const eviction: Check = {
  name: "eviction",
  async run(_, report) {
    await scale(SERVICE, 2);
    try {
      const load = await startMixedLoad(SERVICE);
      const [first, second] = (await podsOf(SERVICE)) as [Pod, Pod];
      const evicted = await evict(first);
      const refused = await evict(second);
      await until("the evicted pod to be replaced", REPLACED_WITHIN_MS, async () => {
        const serving = (await podsOf(SERVICE)).filter(isReady);
        return serving.length === 2 && !serving.some(({ metadata }) => metadata.name === first.metadata.name)
          ? true
          : undefined;
      });
      await delay(DRAINED_MS);
      const seen = await load.stop();
      report.expect(evicted === "", "a pod is evicted through its budget", evicted || first.metadata.name);
      const held = refused.includes("disruption budget");
      report.expect(
        held,
        "the budget keeps the second one",
        refused || `${second.metadata.name} was evicted too`,
      );
      report.expect(isFlawless(seen), "nobody who called has noticed", inWords(seen));
    } finally {
      await scale(SERVICE, 1);
    }
  },
};

/** Asks for an eviction, as a drained node does; resolves to why it was refused, or to nothing. */
async function evict({ metadata: { name } }: Pod): Promise<string> {
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: SHOP } };
  const path = `/api/v1/namespaces/${SHOP}/pods/${name}/eviction`;
  return await kubectl(["create", "--raw", path, "--filename=-"], { input: JSON.stringify(eviction) }).then(
    () => "",
    (error: Error) => error.message,
  );
}
