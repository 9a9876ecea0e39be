import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { KubernetesObject } from "./objects.ts";
import { canaryDeployment, imageOf, isRolled, migrationJob, podFacts, troubleOf } from "./workload.ts";

const base = (service: string) =>
  parse(
    readFileSync(join(import.meta.dirname, `../base/services/${service}/deployment.yaml`), "utf8"),
  ) as KubernetesObject;
const orders = base("orders");
const image = `souk/orders@sha256:${"a1".repeat(32)}`;

describe("a canary's Deployment", () => {
  const canary = canaryDeployment(orders, image, 2);

  test("differs from the stable one by its name, its track, its image and its number of pods", () => {
    expect(imageOf(orders)).toBe("souk/orders");
    expect(imageOf(canary)).toBe(image);
    expect(canary.metadata.name).toBe("orders-canary");
    expect(canary.spec.replicas).toBe(2);
    const [own, stable] = [canary, orders].map(({ spec }) => ({
      ...spec.template.spec.containers[0],
      image: "",
    }));
    expect(own).toEqual(stable);
  });

  test("selects its own pods only, which both its Service and the root's find", () => {
    const { labels } = canary.spec.template.metadata;
    expect(canary.spec.selector.matchLabels).toEqual({ "app.kubernetes.io/name": "orders", track: "canary" });
    expect(labels).toMatchObject({
      "app.kubernetes.io/name": "orders",
      track: "canary",
      "app.kubernetes.io/version": "a1a1a1a1a1a1",
    });
    expect(canaryDeployment(orders, "souk/orders:1.2.3", 1).spec.template.metadata.labels).toMatchObject({
      "app.kubernetes.io/version": "1.2.3",
    });
  });
});

describe("the Job that migrates for a canary", () => {
  test("runs the canary's image as the release's own Job does", () => {
    const written = parse(
      readFileSync(join(import.meta.dirname, "../base/services/orders/migrate-job.yaml"), "utf8"),
    );
    const job = migrationJob(orders, image);
    const { serviceAccountName, containers } = job?.spec.template.spec ?? {};
    const release = written.spec.template.spec;
    expect(serviceAccountName).toBe(release.serviceAccountName);
    expect(containers).toMatchObject([
      { image, args: release.containers[0].args, envFrom: release.containers[0].envFrom },
    ]);
    expect(job?.spec.template.metadata.labels).toMatchObject(written.spec.template.metadata.labels);
    expect(containers[0]).not.toHaveProperty("livenessProbe");
  });

  test("has the volumes that its container mounts", () => {
    const { template } = orders.spec;
    const [app] = template.spec.containers;
    const mounting = { ...app, volumeMounts: [{ name: "tmp", mountPath: "/tmp" }] };
    const pod = { ...template.spec, containers: [mounting], volumes: [{ name: "tmp", emptyDir: {} }] };
    const stable = { ...orders, spec: { ...orders.spec, template: { ...template, spec: pod } } };
    const { containers, volumes } = migrationJob(stable, image)?.spec.template.spec ?? {};
    expect([containers[0].volumeMounts, volumes]).toEqual([mounting.volumeMounts, pod.volumes]);
  });

  test("has another name for another image, and is none for a service without a database", () => {
    const names = [image, "souk/orders:2"].map((one) => migrationJob(orders, one)?.metadata.name);
    expect(new Set(names).size).toBe(2);
    expect(migrationJob(base("gateway"), "souk/gateway:2")).toBeUndefined();
  });
});

test("a Deployment is rolled once all of its pods are of its newest template and ready", () => {
  const rolled = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  const of = (status: object) =>
    isRolled({ ...orders, metadata: { name: "orders", generation: 3 }, spec: { replicas: 2 }, status });
  expect(of(rolled)).toBe(true);
  for (const [field, value] of Object.entries({
    observedGeneration: 2,
    replicas: 3,
    updatedReplicas: 1,
    availableReplicas: 1,
  }))
    expect(of({ ...rolled, [field]: value })).toBe(false);
});

test("a Deployment says why it does not get on", () => {
  const of = (conditions: object[]) => troubleOf({ ...orders, status: { conditions } });
  expect(of([{ type: "Progressing", status: "True", reason: "ReplicaSetUpdated" }])).toBeUndefined();
  expect(
    of([{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "exceeded quota" }]),
  ).toBe("FailedCreate: exceeded quota");
  expect(
    of([{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "late" }]),
  ).toContain("late");
});

describe("a pod", () => {
  const pod = (status: object, metadata: object = {}): KubernetesObject => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "orders-canary-1",
      labels: { track: "canary" },
      creationTimestamp: "2026-11-21T13:00:00Z",
      ...metadata,
    },
    status,
  });
  const ready = { conditions: [{ type: "Ready", status: "True" }] };

  test("is ready while it says so and is not on its way out", () => {
    expect(podFacts(pod(ready))).toMatchObject({
      track: "canary",
      ready: true,
      restarts: 0,
      createdAtMs: Date.UTC(2026, 10, 21, 13),
    });
    expect(podFacts(pod(ready, { deletionTimestamp: "2026-11-21T14:00:00Z" })).ready).toBe(false);
    expect(podFacts(pod({})).ready).toBe(false);
  });

  test("says what keeps it from starting, once that is more than starting", () => {
    const waiting = (reason: string) =>
      pod({
        containerStatuses: [{ name: "app", restartCount: 2, state: { waiting: { reason, message: "why" } } }],
      });
    expect(podFacts(waiting("ErrImagePull"))).toMatchObject({ trouble: "ErrImagePull: why", restarts: 2 });
    expect(podFacts(waiting("ContainerCreating")).trouble).toBeUndefined();
    expect(
      podFacts(pod({ conditions: [{ type: "PodScheduled", status: "False", message: "no CPU" }] })).trouble,
    ).toBe("no CPU");
  });
});
