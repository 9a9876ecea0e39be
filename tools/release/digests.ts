import { createHash } from "node:crypto";
import { stringify } from "yaml";
import { preparationJobs } from "../policies/jobs.ts";

/** What a release is made of. */
export interface Release {
  /** Where images are: `registry.example.com/souk`. */
  readonly registry: string;
  /** Without a `v`. */
  readonly version: string;
  /** Digest of each image, `sha256:…`, by its name. */
  readonly digests: ReadonlyMap<string, string>;
}

const WARNING =
  "# Written by npm run release:images, as .github/workflows/release.yaml does for a tag. Not to be edited.\n";
const HASH_LENGTH = 10;

/**
 * The files of deploy/components/images-digest, by name. Jobs get another name with their image: Kubernetes refuses to change one.
 * Throws where a digest is missing or malformed.
 */
export async function releaseFiles(release: Release): Promise<Map<string, string>> {
  const { version } = release;
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1alpha1",
    kind: "Component",
    images: Array.from(release.digests, ([name, digest]) => imageOf(name, digest, release)),
    patches: [
      { path: "version.yaml", target: { kind: "Deployment", namespace: "souk" } },
      ...(await jobPatches(release)),
    ],
  };
  const label = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "all" },
    spec: { template: { metadata: { labels: { "app.kubernetes.io/version": version } } } },
  };
  return new Map([
    ["kustomization.yaml", WARNING + stringify(kustomization, { lineWidth: 0 })],
    ["version.yaml", WARNING + stringify(label, { lineWidth: 0 })],
  ]);
}

function imageOf(name: string, digest: string, { registry }: Release) {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`The digest of ${name} is "${digest}"`);
  return { name: `souk/${name}`, newName: `${registry}/${name}`, digest };
}

async function jobPatches({ digests }: Release) {
  return Array.from((await preparationJobs()).values(), ({ metadata }) => {
    const image = metadata.name.startsWith("streams-")
      ? "streams"
      : (metadata.name.split("-migrate-")[0] ?? "");
    const digest = digests.get(image);
    if (digest === undefined) throw new Error(`There is no digest of ${image}`);
    const stem = metadata.name.slice(0, -HASH_LENGTH);
    const hash = createHash("sha256")
      .update(metadata.name)
      .update(digest)
      .digest("hex")
      .slice(0, HASH_LENGTH);
    return {
      target: { kind: "Job", namespace: "souk", name: metadata.name },
      patch: stringify([{ op: "replace", path: "/metadata/name", value: stem + hash }]),
      options: { allowNameChange: true },
    };
  });
}
