import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SERVICE_NAMES } from "../start/service-names.ts";
import { readStreams } from "../streams/streams.ts";
import type { KubernetesObject } from "./kubernetes-object.ts";
import { NAMESPACE } from "./workloads.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");

/**
 * The Jobs that prepare what services wait for, by the file each is written to. Kubernetes refuses to change a Job, so what a
 * Job is to do is part of its name: the migrations of a database, the streams of the contract.
 */
export async function preparationJobs(): Promise<Map<string, KubernetesObject>> {
  const streams = (await readStreams("souk")).map(({ name }) => name);
  const jobs = SERVICE_NAMES.map(
    (name) => [`deploy/base/services/${name}/migrate-job.yaml`, migrationJob(name)] as const,
  );
  return new Map([...jobs, ["deploy/base/streams/job.yaml", streamsJob(streams)]]);
}

function migrationJob(service: string): KubernetesObject {
  const files = globSync([`kit/migrations/*.sql`, `services/${service}/migrations/*.sql`], {
    cwd: REPOSITORY,
  });
  const texts = files.sort().flatMap((path) => [path, readFileSync(join(REPOSITORY, path), "utf8")]);
  return preparationJob({
    name: `${service}-migrate-${hashOf(texts)}`,
    label: `${service}-migrate`,
    account: "migrations",
    container: {
      image: `souk/${service}`,
      args: ["migrate"],
      envFrom: [`${service}-database`, `${service}-database-owner`].map((name) => ({ secretRef: { name } })),
    },
  });
}

function streamsJob(streams: readonly string[]): KubernetesObject {
  const env = { NATS_URL: "nats://nats.souk-data:4222", EVENT_STREAM_REPLICAS: "1" };
  const container = {
    image: "souk/streams",
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    envFrom: [{ secretRef: { name: "streams-broker" } }],
  };
  const name = `streams-${hashOf([...streams, JSON.stringify(container)])}`;
  return preparationJob({ name, label: "streams", account: "streams", container });
}

interface Preparation {
  readonly name: string;
  readonly label: string;
  readonly account: string;
  readonly container: object;
}

function preparationJob({ name, label, account, container }: Preparation): KubernetesObject {
  const labels = { "app.kubernetes.io/name": label, "app.kubernetes.io/component": "preparation" };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: NAMESPACE, labels },
    spec: {
      template: {
        metadata: { labels },
        spec: { serviceAccountName: account, containers: [{ name: "app", ...container }] },
      },
    },
  };
}

const hashOf = (texts: readonly string[]) =>
  createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 10);
