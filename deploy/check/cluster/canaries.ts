// The canary tool as a person runs it, and what it leaves in the cluster.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Rollout } from "../../canary/course.ts";
import type { KubernetesObject } from "../../canary/objects.ts";
import type { Policy } from "../../canary/policy.ts";
import { readRollout } from "../../canary/record.ts";
import { weightOf } from "../../canary/route.ts";
import { imageOf } from "../../canary/workload.ts";
import type { Setting } from "../check.ts";
import { kubectl, readJson, textOf } from "./kubectl.ts";
import { SHOP } from "./namespaces.ts";
import { isReady, type Pod, pods, untilRolledOut } from "./shop.ts";
import { until } from "./until.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");
const RUN_TIMEOUT_MS = 600_000;
const COMMAND_TIMEOUT_MS = 60_000;
const ROLLED_OUT_WITHIN_MS = 180_000;
/** Of what a run says, what is worth a line of the report. */
const LAST_WORDS = 300;

/** What is begun. */
export interface CanaryPlan {
  readonly service: string;
  readonly image: string;
  /** What differs from the defaults of deploy/canary/policy.ts. */
  readonly policy: Partial<Policy> & Pick<Policy, "steps">;
}

/** What a run came to. */
export interface Ending {
  /** 0 where the canary was promoted; undefined where the run was killed. */
  readonly code: number | undefined;
  /** All that it said. */
  readonly said: string;
  /** The last of it, for a line of the report. */
  readonly text: string;
}

/** A run of `souk canary start`. */
export interface CanaryRun {
  readonly ended: Promise<Ending>;
  /** Ends the tool without a chance to put anything in order. */
  kill(): void;
}

/** Begins a canary, or goes on with one, in a process of its own. */
export function startCanary({ service, image, policy }: CanaryPlan): CanaryRun {
  const folder = mkdtempSync(join(tmpdir(), "souk-canary-"));
  const file = join(folder, "policy.yaml");
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(policy));
  const run = startTool(["start", service, "--image", image, "--policy", file], RUN_TIMEOUT_MS);
  return { ...run, ended: run.ended.finally(() => rmSync(folder, { recursive: true, force: true })) };
}

/** Ends a canary, as an operator does. */
export const abortCanary = (service: string, why: string): Promise<Ending> =>
  startTool(["abort", service, "--why", why], COMMAND_TIMEOUT_MS).ended;

function startTool(args: readonly string[], timeout: number): CanaryRun {
  const child = spawn(process.execPath, ["tools/souk.ts", "canary", ...args, "--namespace", SHOP], {
    cwd: REPOSITORY,
    timeout,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const end = async (): Promise<Ending> => {
    const [said, shown, code] = await Promise.all([
      textOf(child.stderr),
      textOf(child.stdout),
      new Promise<number | undefined>((resolve) => {
        child.once("close", (code) => resolve(code ?? undefined)).once("error", () => resolve(undefined));
      }),
    ]);
    return { code, said, text: (said + shown).trim().slice(-LAST_WORDS) };
  };
  return { ended: end(), kill: () => void child.kill("SIGKILL") };
}

/** The image that the stable pods run where nothing has been released. */
export const releasedImage = ({ registry, tag }: Pick<Setting, "registry" | "tag">, service: string) =>
  `${registry}souk/${service}:${tag}`;

/**
 * Another name of a released image. From a registry it is its digest; what the nodes were given by hand is found with and without the
 * name of the registry that nobody names.
 */
export function otherName(image: string, imageId: string): string {
  const repository = image.replace(/[@:][^/]*$/, "");
  const digest = /@sha256:[0-9a-f]{64}$/.exec(imageId)?.[0];
  const isFromRegistry = repository.split("/").length > 2;
  return isFromRegistry && digest ? repository + digest : `docker.io/${image}`;
}

/** A release of a service that differs from the one that runs in nothing but its name. */
export async function goodImage(setting: Setting, service: string): Promise<string> {
  const released = releasedImage(setting, service);
  if ((await stableImage(service)) !== released) return released;
  const [pod] = await tracked(service, "stable");
  const { containerStatuses = [] } = pod?.status ?? {};
  return otherName(released, containerStatuses.find(({ name }) => name === "app")?.imageID ?? "");
}

/** The image that the stable pods are told to run. */
export const stableImage = async (service: string): Promise<string> =>
  imageOf(await readJson<KubernetesObject>(["--namespace", SHOP, "get", "deployment", service]));

/** The pods of one track of a service. */
export const tracked = (service: string, track: "stable" | "canary"): Promise<readonly Pod[]> =>
  pods(SHOP, `app.kubernetes.io/name=${service},track=${track}`);

/** What is remembered of the last canary of a service. */
export async function rolloutOf(service: string): Promise<Rollout> {
  const { data } = await readJson<KubernetesObject>([
    "--namespace",
    SHOP,
    "get",
    "configmap",
    `canary-${service}`,
  ]);
  return readRollout(data?.rollout ?? "{}");
}

/** Percent of the calls that the route gives the canary; 0 where there is no route yet. */
export async function sharePlanned(service: string): Promise<number> {
  const args = ["--namespace", SHOP, "get", "grpcroute", service, "--ignore-not-found", "--output=json"];
  const text = await kubectl(args);
  return text === "" ? 0 : (weightOf(JSON.parse(text) as KubernetesObject) ?? 0);
}

/** Waits until the route gives the canary a share. Rejects at once with what was said where the run ends before. */
export async function untilShare(
  service: string,
  weight: number,
  run: CanaryRun,
  withinMs = 180_000,
): Promise<void> {
  let ending: Ending | undefined;
  void run.ended.then((ended) => {
    ending = ended;
  });
  await until(`${weight} % of the calls to the canary`, withinMs, async () => {
    if (ending) throw new Error(`the canary ended before it had ${weight} % of the calls: ${ending.text}`);
    return (await sharePlanned(service)) === weight ? true : undefined;
  });
}

/** Kills a canary's pods without grace, and waits for nothing. */
export async function killCanaryPods(service: string): Promise<void> {
  const selector = `--selector=app.kubernetes.io/name=${service},track=canary`;
  const args = [
    "--namespace",
    SHOP,
    "delete",
    "pod",
    selector,
    "--grace-period=0",
    "--force",
    "--wait=false",
  ];
  await kubectl(args);
}

/** Waits until a canary has a pod that is ready. */
export const untilCanaryReady = (service: string): Promise<true> =>
  until(`a ready pod of ${service}'s canary`, ROLLED_OUT_WITHIN_MS, async () =>
    (await tracked(service, "canary")).some(isReady) ? true : undefined,
  );

/** Leaves no canary of a service, and its stable pods with the image that they had at first. */
export async function clearCanary(setting: Setting, service: string): Promise<void> {
  await abortCanary(service, "cluster:check is over");
  const own = ["--namespace", SHOP, "delete", "--ignore-not-found"];
  await kubectl([...own, "deployment", `${service}-canary`]);
  await kubectl([...own, "job", `--selector=souk.dev/canary=${service}`]);
  const image = releasedImage(setting, service);
  if ((await stableImage(service)) === image) return;
  await kubectl(["--namespace", SHOP, "set", "image", `deployment/${service}`, `app=${image}`]);
  await untilRolledOut(service, ROLLED_OUT_WITHIN_MS);
}
