// The shop in the cluster: overlay ci with the images that are to be tried.

import { join } from "node:path";
import type { Setting } from "../check.ts";
import { apply, kubectl, readJson } from "./kubectl.ts";
import { SHOP, STORES } from "./namespaces.ts";
import { until } from "./until.ts";

const OVERLAY = join(import.meta.dirname, "../../overlays/ci");
const REMOVE_WITHIN_MS = 180_000;

/** A pod, as far as the checks look at one. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
  };
  readonly status: {
    readonly podIP?: string;
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly name: string; readonly imageID: string }[];
  };
}

/** The overlay as it is applied here. */
export async function renderShop({ tag, registry }: Pick<Setting, "tag" | "registry">): Promise<string> {
  const text = await kubectl(["kustomize", OVERLAY]);
  return text.replaceAll(/\bimage: (souk\/[a-z-]+):ci$/gm, `image: ${registry}$1:${tag}`);
}

/** Applies the overlay to a cluster without one. */
export async function applyShop(setting: Pick<Setting, "tag" | "registry">): Promise<void> {
  await apply(await renderShop(setting));
}

/** Removes the shop and its stores, and waits until they are gone. */
export async function removeShop(): Promise<void> {
  await kubectl(
    ["delete", "namespace", SHOP, STORES, "--ignore-not-found", `--timeout=${REMOVE_WITHIN_MS / 1000}s`],
    { timeoutMs: REMOVE_WITHIN_MS + 5_000 },
  );
}

/** Waits until all pods that a Deployment asks for are available. */
export async function untilRolledOut(deployment: string, withinMs: number): Promise<void> {
  await kubectl(
    ["--namespace", SHOP, "rollout", "status", `deployment/${deployment}`, `--timeout=${withinMs / 1000}s`],
    { timeoutMs: withinMs + 5_000 },
  );
}

/** Sets a Deployment's number of pods, and waits for them. */
export async function scale(deployment: string, replicas: number, withinMs = 120_000): Promise<void> {
  await kubectl(["--namespace", SHOP, "scale", `deployment/${deployment}`, `--replicas=${replicas}`]);
  await untilRolledOut(deployment, withinMs);
  await until(`${replicas} pods of ${deployment}`, withinMs, async () => {
    const pods = await podsOf(deployment);
    return pods.length === replicas ? pods : undefined;
  });
}

/** Pods of a namespace by labels, those among them that are going away left out. */
export async function pods(namespace: string, selector: string): Promise<readonly Pod[]> {
  const args = ["--namespace", namespace, "get", "pods", `--selector=${selector}`];
  const { items } = await readJson<{ items: Pod[] }>(args);
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** The pods that serve for a service. */
export async function podsOf(service: string): Promise<readonly Pod[]> {
  return await pods(SHOP, `app.kubernetes.io/name=${service},track=stable`);
}

/** Whether a pod is ready to serve. */
export const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status: state }) => type === "Ready" && state === "True") ?? false;
