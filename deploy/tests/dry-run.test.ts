import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { basename } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMBINATIONS } from "./combinations.ts";
import {
  answers,
  environment,
  REPOSITORY,
  type Rendered,
  render,
  renderCombination,
  renderer,
} from "./render.ts";

// Whether an API server would take all of it: one that has every definition (node deploy/tests/definitions.ts), and needs no node.
const kubeconfig = process.env.SOUK_API_SERVER;
const reason =
  (renderer === undefined && "neither kustomize nor kubectl is on the path") ||
  (kubeconfig === undefined && "SOUK_API_SERVER names no kubeconfig") ||
  (!answers("kubectl", ["version", "--client"]) && "kubectl is not on the path");
const against = describe.skipIf(Boolean(reason));
if (reason) console.warn(`skipped: ${reason}, so no API server was asked about the manifests`);

const folders = globSync(["deploy/overlays/*/", "deploy/components/data-cnpg-{restore,replica}/"], {
  cwd: REPOSITORY,
}).sort();

// The first answers of an API server that has just started, on a busy machine, to a hundred and fifty objects at once.
const ANSWER_MS = 110_000;
const PATIENCE_MS = 120_000;

/** What kubectl says, on either of its outputs; rejects with it where it ends with an error. */
async function kubectl(args: readonly string[], input: string): Promise<string> {
  const child = spawn("kubectl", ["--kubeconfig", kubeconfig ?? "", ...args], {
    env: environment(),
    timeout: ANSWER_MS,
  });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  child.stdin.end(input);
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(said);
  return said;
}

const documents = (objects: readonly object[]) => objects.map((object) => JSON.stringify(object)).join("\n");

/** What the API server complains about; objects that it takes are not told of. */
async function complaints(objects: readonly Rendered[]): Promise<string[]> {
  const args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"];
  const said = await kubectl(args, documents(objects)).catch((error: Error) => error.message);
  return said
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith("serverside-applied (server dry run)"));
}

against("an API server", { timeout: PATIENCE_MS }, () => {
  beforeAll(async () => {
    // What is in a namespace is judged only where there is one, by its labels for Pod Security too.
    const production = await render("deploy/overlays/production");
    const namespaces = production.filter(({ kind }) => kind === "Namespace");
    expect(namespaces).toHaveLength(2);
    const system = { apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } };
    await kubectl(
      ["apply", "--server-side", "--force-conflicts", "--filename=-"],
      documents([...namespaces, system]),
    );
  }, PATIENCE_MS);

  test.each(folders.map((folder) => [basename(folder), folder]))(
    "takes all of %s without a word",
    async (_, folder) => {
      expect(await complaints(await render(folder))).toEqual([]);
    },
  );

  test.each(COMBINATIONS.map((components) => [components]))(
    "takes base with %j without a word",
    async (components) => {
      expect(await complaints(await renderCombination(components))).toEqual([]);
    },
  );

  test("would say what is wrong with an object, and with a pod that Pod Security refuses", async () => {
    const objects = await render("deploy/overlays/production");
    const [deployment] = objects.filter(({ kind }) => kind === "Deployment");
    const rooted = structuredClone(deployment) as { spec: { template: { spec: { hostNetwork?: boolean } } } };
    rooted.spec.template.spec.hostNetwork = true;
    expect((await complaints([rooted as Rendered])).join()).toContain("would violate PodSecurity");
    const misspelt = { ...deployment, spec: { ...deployment?.spec, replica: 3 } } as Rendered;
    expect((await complaints([misspelt])).join()).toContain("field not declared in schema");
  });
});
