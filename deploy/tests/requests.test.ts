import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { mebisOf, millisOf } from "../check/cluster/quantities.ts";
import { REPOSITORY, type Rendered, render, renderer } from "./render.ts";

interface Amount {
  readonly cpuMillis: number;
  readonly memoryMebis: number;
}

const add = (a: Amount, b: Amount): Amount => ({
  cpuMillis: a.cpuMillis + b.cpuMillis,
  memoryMebis: a.memoryMebis + b.memoryMebis,
});

interface Requests {
  readonly resources?: { readonly requests?: { readonly cpu?: string; readonly memory?: string } };
}

const amountOf = (cpu = "0", memory = "0"): Amount => ({
  cpuMillis: millisOf(cpu),
  memoryMebis: mebisOf(memory),
});

/** What Istio asks for itself by its own defaults: istiod, and the agent that sets up pods' networks. */
const istio = add(amountOf("500m", "2048Mi"), amountOf("100m", "100Mi"));

/** What a sidecar asks for whose pod does not say otherwise. */
const { requests: sidecar } = parse(readFileSync(join(REPOSITORY, "deploy/platform/istio.yaml"), "utf8")).spec
  .values.global.proxy.resources as { requests: { cpu: string; memory: string } };

/** What one pod of a workload asks for, its sidecar included. */
function podRequests({ metadata, spec }: Rendered): Amount {
  const { metadata: { labels = {}, annotations = {} } = {}, spec: pod } = spec.template;
  const meshed = metadata.namespace === "souk" && labels["sidecar.istio.io/inject"] !== "false";
  const containers = (pod.containers as Requests[]).map(({ resources }) =>
    amountOf(resources?.requests?.cpu, resources?.requests?.memory),
  );
  if (!meshed) return containers.reduce(add);
  const cpu = annotations["sidecar.istio.io/proxyCPU"] ?? sidecar.cpu;
  const memory = annotations["sidecar.istio.io/proxyMemory"] ?? sidecar.memory;
  return [...containers, amountOf(cpu, memory)].reduce(add);
}

/** What an overlay asks for while it comes up: every pod, and all Jobs at once. */
function requestsOf(objects: readonly Rendered[]): Amount {
  const workloads = objects.filter(({ kind }) => ["Deployment", "StatefulSet", "Job"].includes(kind));
  return workloads
    .flatMap((workload) => Array.from({ length: workload.spec.replicas ?? 1 }, () => podRequests(workload)))
    .reduce(add);
}

describe.skipIf(renderer === undefined)("with sidecars, Istio and all Jobs at once", () => {
  test("the overlay local fits 6 CPU and 8 GiB", async () => {
    const { cpuMillis, memoryMebis } = add(istio, requestsOf(await render("deploy/overlays/local")));
    expect(cpuMillis).toBeLessThanOrEqual(6_000);
    expect(memoryMebis).toBeLessThanOrEqual(8 * 1_024);
  });

  test("the overlay ci fits 2 CPU and 4 GiB, beside Istio", async () => {
    const { cpuMillis, memoryMebis } = requestsOf(await render("deploy/overlays/ci"));
    expect(cpuMillis).toBeLessThanOrEqual(2_000);
    expect(memoryMebis).toBeLessThanOrEqual(4 * 1_024);
  });
});
