import { expect, test } from "vitest";
import { parse } from "yaml";
import { SERVICE_NAMES } from "../start/service-names.ts";
import { releaseFiles } from "./digests.ts";

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const release = (letter: string) => ({
  registry: "registry.example.com/souk",
  version: "1.2.0",
  digests: new Map([...SERVICE_NAMES, "gateway", "streams"].map((name) => [name, digestOf(letter)])),
});

async function read(letter: string) {
  const files = await releaseFiles(release(letter));
  return { ...parse(files.get("kustomization.yaml") ?? ""), label: parse(files.get("version.yaml") ?? "") };
}

test("a release names its images by digest and its pods by version", async () => {
  const { images, label } = await read("a");
  expect(images).toContainEqual({
    name: "souk/orders",
    newName: "registry.example.com/souk/orders",
    digest: digestOf("a"),
  });
  expect(label.spec.template.metadata.labels).toEqual({ "app.kubernetes.io/version": "1.2.0" });
});

test("a Job with another image is another Job, also where its migrations are the same", async () => {
  const namesIn = (patches: { patch?: string }[]) =>
    patches.flatMap(({ patch }) => (patch === undefined ? [] : [parse(patch)[0].value as string]));
  const [first, again, next] = [await read("a"), await read("a"), await read("b")].map(({ patches }) =>
    namesIn(patches),
  );
  expect(first).toHaveLength(SERVICE_NAMES.length + 1);
  expect(again).toEqual(first);
  expect(first?.filter((name) => next?.includes(name))).toEqual([]);
  for (const name of first ?? []) expect(name).toMatch(/^([a-z]+-migrate|streams)-[0-9a-f]{10}$/);
});

test("a release without one of its digests, or with a broken one, is none", async () => {
  const { digests, ...rest } = release("a");
  const without = new Map([...digests].filter(([name]) => name !== "orders"));
  await expect(releaseFiles({ ...rest, digests: without })).rejects.toThrow("There is no digest of orders");
  const broken = new Map([...digests, ["orders", "latest"] as const]);
  await expect(releaseFiles({ ...rest, digests: broken })).rejects.toThrow(
    'The digest of orders is "latest"',
  );
});
