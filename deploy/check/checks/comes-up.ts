import type { Check } from "../check.ts";
import { kubectl, readJson } from "../cluster/kubectl.ts";
import { SERVICES, SHOP, STORES } from "../cluster/namespaces.ts";
import { mebisOf, millisOf } from "../cluster/quantities.ts";
import { applyShop, isReady, type Pod, pods, removeShop } from "../cluster/shop.ts";
import { until } from "../cluster/until.ts";

const UP_WITHIN_MS = 300_000;

/** From an empty cluster to a shop that serves, under restricted Pod Security and STRICT mutual TLS. */
export const comesUp: Check = {
  name: "comes-up",
  async run(setting, report) {
    await removeShop();
    const startedAt = performance.now();
    await applyShop(setting);
    const missing = await until("the shop to come up", UP_WITHIN_MS, async () => {
      const left = await whatIsMissing();
      return left.length === 0 || performance.now() - startedAt > UP_WITHIN_MS - 10_000 ? left : undefined;
    });
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    report.expect(missing.length === 0, "the overlay comes up", missing.join("; ") || `in ${seconds} s`);

    const namespace = await readJson<Pod>(["get", "namespace", SHOP]);
    const level = namespace.metadata.labels?.["pod-security.kubernetes.io/enforce"] ?? "nothing";
    report.expect(level === "restricted", "Pod Security restricted is enforced", `${SHOP} enforces ${level}`);

    const serving = await pods(SHOP, "app.kubernetes.io/part-of=souk,track=stable");
    const bare = serving.filter(({ spec }) => !hasSidecar(spec)).map(({ metadata }) => metadata.name);
    const withSidecar = `${serving.length - bare.length} of ${serving.length} pods have a sidecar that starts before the app`;
    report.expect(
      bare.length === 0 && serving.length >= SERVICES.length,
      "every service is in the mesh",
      withSidecar,
    );

    const mode = await kubectl([
      "--namespace",
      SHOP,
      "get",
      "peerauthentication",
      "default",
      "--output=jsonpath={.spec.mtls.mode}",
    ]);
    report.expect(mode === "STRICT", "mutual TLS or nothing", `PeerAuthentication says ${mode}`);
    report.expect(...(await requests()));
  },
};

const hasSidecar = ({ initContainers = [] }: Pod["spec"]) =>
  initContainers.some(({ name, restartPolicy }) => name === "istio-proxy" && restartPolicy === "Always");

async function whatIsMissing(): Promise<string[]> {
  const jobs = await readJson<{ items: { metadata: { name: string }; status: { succeeded?: number } }[] }>([
    "--namespace",
    SHOP,
    "get",
    "jobs",
  ]);
  const undone = jobs.items.filter(({ status }) => !status.succeeded).map(({ metadata }) => metadata.name);
  const all = [...(await pods(SHOP, "")), ...(await pods(STORES, ""))];
  const waiting = all.filter(
    (pod) => pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed" && !isReady(pod),
  );
  return [
    ...undone.map((name) => `Job ${name} is not done`),
    ...waiting.map(({ metadata, status }) => `${metadata.name} is ${status.phase}, not ready`),
    ...(all.length < SERVICES.length ? ["pods are missing"] : []),
  ];
}

interface Resources {
  readonly resources?: { readonly requests?: { readonly cpu?: string; readonly memory?: string } };
}

/** What all pods that stay ask of the node, proxies included. */
async function requests(): Promise<[boolean, string, string]> {
  type Running = {
    spec: { containers: Resources[]; initContainers?: (Resources & { restartPolicy?: string })[] };
  };
  let cpuMillis = 0;
  let memoryMebis = 0;
  for (const namespace of [SHOP, STORES]) {
    const { items } = await readJson<{ items: Running[] }>([
      "--namespace",
      namespace,
      "get",
      "pods",
      "--field-selector=status.phase=Running",
    ]);
    for (const { spec } of items) {
      const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
      for (const { resources } of [...spec.containers, ...sidecars]) {
        cpuMillis += millisOf(resources?.requests?.cpu ?? "0");
        memoryMebis += mebisOf(resources?.requests?.memory ?? "0");
      }
    }
  }
  const fits = cpuMillis <= 2_000 && memoryMebis <= 4_096;
  return [fits, "fits 2 CPU and 4 GiB", `${cpuMillis}m CPU and ${Math.round(memoryMebis)} MiB are requested`];
}
