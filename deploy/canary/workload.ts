// What runs for a canary: made of the stable Deployment, so that both differ by their image and their track only.

import { createHash } from "node:crypto";
import { CANARY_LABEL, type KubernetesObject, NAME_LABEL, TRACK_LABEL } from "./objects.ts";

/** The container of every pod that is the shop's own. */
export const APP = "app";

interface Container {
  readonly name: string;
  readonly image: string;
  readonly resources?: object;
}

/** The image of a Deployment's own container. */
export function imageOf(deployment: KubernetesObject): string {
  const containers: readonly Container[] = deployment.spec.template.spec.containers;
  return containers.find(({ name }) => name === APP)?.image ?? "";
}

/** The canary's Deployment. */
export function canaryDeployment(
  stable: KubernetesObject,
  image: string,
  replicas: number,
): KubernetesObject {
  const { name, namespace = "" } = stable.metadata;
  const { template, minReadySeconds: _ready, ...spec } = stable.spec;
  const labels = { ...template.metadata.labels, [TRACK_LABEL]: "canary", [CANARY_LABEL]: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: `${name}-canary`,
      namespace,
      labels: { ...stable.metadata.labels, [TRACK_LABEL]: "canary", [CANARY_LABEL]: name },
    },
    spec: {
      ...spec,
      replicas,
      selector: { matchLabels: { [NAME_LABEL]: name, [TRACK_LABEL]: "canary" } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...labels, ...versionLabel(image) } },
        spec: { ...template.spec, containers: withImage(template.spec.containers, image) },
      },
    },
  };
}

/** A label's value has at most 63 characters of few kinds; a digest is told by its beginning. */
function versionLabel(image: string) {
  const version = image.split("@sha256:")[1]?.slice(0, 12) ?? /:([\w.-]{1,63})$/.exec(image)?.[1];
  return version === undefined ? {} : { "app.kubernetes.io/version": version };
}

const withImage = (containers: readonly Container[], image: string) =>
  containers.map((container) => (container.name === APP ? { ...container, image } : container));

/**
 * The Job that migrates the service's database for an image, in the manner of the release's own; undefined for a service that has no
 * database. Migrations only add, so the stable pods do not mind.
 */
export function migrationJob(stable: KubernetesObject, image: string): KubernetesObject | undefined {
  const { name, namespace = "" } = stable.metadata;
  const { spec } = stable.spec.template;
  const app = (spec.containers as readonly (Container & { envFrom?: readonly EnvSource[] })[]).find(
    (one) => one.name === APP,
  );
  const database = app?.envFrom?.find(({ secretRef }) => secretRef?.name === `${name}-database`);
  if (!app || !database) return undefined;
  const labels = {
    [NAME_LABEL]: `${name}-migrate`,
    "app.kubernetes.io/component": "preparation",
    "app.kubernetes.io/part-of": "souk",
    "sidecar.istio.io/inject": "false",
    [CANARY_LABEL]: name,
  };
  const hash = createHash("sha256").update(image).digest("hex").slice(0, 10);
  const {
    ports: _ports,
    env: _env,
    startupProbe: _s,
    readinessProbe: _r,
    livenessProbe: _l,
    lifecycle: _c,
    ...rest
  } = app as never as Record<string, unknown>;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: `${name}-canary-migrate-${hash}`, namespace, labels },
    spec: {
      backoffLimit: 6,
      activeDeadlineSeconds: 600,
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: { labels },
        spec: {
          ...pick(spec, [
            "securityContext",
            "enableServiceLinks",
            "automountServiceAccountToken",
            "priorityClassName",
          ]),
          ...pick(spec, ["imagePullSecrets", "volumes"]),
          serviceAccountName: "migrations",
          restartPolicy: "Never",
          containers: [
            {
              ...rest,
              image,
              args: ["migrate"],
              envFrom: [database, { secretRef: { name: `${name}-database-owner` } }],
            },
          ],
        },
      },
    },
  };
}

interface EnvSource {
  readonly secretRef?: { readonly name: string };
}

const pick = (from: Readonly<Record<string, unknown>>, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));

/** Whether all pods of a Deployment are of its present template and ready. */
export function isRolled({ metadata, spec, status }: KubernetesObject): boolean {
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status ?? {};
  const wanted = spec.replicas ?? 1;
  return (
    observedGeneration >= (metadata.generation ?? 0) &&
    [replicas, updatedReplicas, availableReplicas].every((count) => count === wanted)
  );
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** Why a Deployment does not get on, if its controller says so. */
export function troubleOf({ status }: KubernetesObject): string | undefined {
  const conditions: readonly Condition[] = status?.conditions ?? [];
  const found = conditions.find(
    ({ type, status: is, reason }) =>
      (type === "ReplicaFailure" && is === "True") ||
      (type === "Progressing" && reason === "ProgressDeadlineExceeded"),
  );
  return found && `${found.reason ?? found.type}: ${found.message ?? ""}`;
}

/** What is known of one pod. */
export interface PodFacts {
  readonly name: string;
  readonly track: "stable" | "canary";
  readonly ready: boolean;
  readonly restarts: number;
  readonly createdAtMs: number;
  /** `ErrImagePull: …`, `CrashLoopBackOff`. */
  readonly trouble: string | undefined;
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount?: number;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
}

const PATIENT = new Set(["ContainerCreating", "PodInitializing"]);

/** Reads a pod; one that is on its way out is not ready, whatever it still says. */
export function podFacts({ metadata, status }: KubernetesObject): PodFacts {
  const own: readonly ContainerStatus[] = status?.containerStatuses ?? [];
  const app = own.find(({ name }) => name === APP);
  const waiting = app?.state?.waiting;
  const conditions: readonly Condition[] = status?.conditions ?? [];
  const isReady = conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
  const unscheduled = conditions.find(({ type, status: is }) => type === "PodScheduled" && is === "False");
  const stuck = waiting?.reason !== undefined && !PATIENT.has(waiting.reason);
  return {
    name: metadata.name,
    track: metadata.labels?.[TRACK_LABEL] === "canary" ? "canary" : "stable",
    ready: isReady && metadata.deletionTimestamp === undefined,
    restarts: app?.restartCount ?? 0,
    createdAtMs: Date.parse(metadata.creationTimestamp ?? "") || 0,
    trouble: stuck ? `${waiting.reason}: ${waiting.message ?? ""}` : unscheduled?.message,
  };
}
