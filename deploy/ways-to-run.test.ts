import { globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Environment } from "#kit/config/config.ts";
import { SERVICE_NAMES } from "../tools/start/service-names.ts";
import { FIELD_MANAGER } from "./canary/objects.ts";

// Tiltfile, skaffold.yaml, compose.yaml and the workflows name what deploy/ runs: each by itself, so each can forget something.
const root = resolve(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const services = globSync("services/*/", { cwd: root })
  .map((path) => basename(path))
  .sort();

/** Every image that an overlay runs, by the name that the manifests give it. */
const images = [
  ...new Set(
    globSync("deploy/{base,components}/**/*.yaml", { cwd: root }).flatMap((path) =>
      Array.from(read(path).matchAll(/^\s*image: souk\/([a-z-]+)$/gm), ([, name = ""]) => name),
    ),
  ),
].sort();

interface ComposeService {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly build?: { readonly args: { readonly SERVICE: string } };
  readonly environment?: Readonly<Record<string, string>>;
}

const compose = parse(read("compose.yaml"), { merge: true }) as {
  services: Readonly<Record<string, ComposeService>>;
};

test("every image of the manifests is one that the Dockerfile can make", () => {
  expect(images).toEqual([...services, "card-processor", "carrier", "issuer", "streams", "tools"].sort());
  const entries = images.flatMap((name) =>
    globSync([`services/${name}/main.ts`, `sandboxes/${name}/main.ts`, `tools/${name}/main.ts`], {
      cwd: root,
    }),
  );
  // The image of the tools starts with the operators' command.
  expect(entries).toHaveLength(images.length - 1);
});

describe("Skaffold", () => {
  const { build, manifests } = parse(read("skaffold.yaml")) as {
    build: { artifacts: readonly { image: string; docker: { buildArgs: { SERVICE: string } } }[] };
    manifests: { kustomize: { paths: readonly string[] } };
  };

  test("builds every image of the overlay it applies, each from its own folder", () => {
    expect(manifests.kustomize.paths).toEqual(["deploy/overlays/local"]);
    expect(build.artifacts.map(({ image }) => image).sort()).toEqual(images.map((name) => `souk/${name}`));
    for (const { image, docker } of build.artifacts) expect(image).toBe(`souk/${docker.buildArgs.SERVICE}`);
  });
});

describe("Tilt", () => {
  const tiltfile = read("Tiltfile");
  const table = (name: string) => new RegExp(`^${name} = \\{\\n(.*?)^\\}`, "ms").exec(tiltfile)?.[1] ?? "";

  test("applies the overlay, and has a row for each service", () => {
    expect(tiltfile).toContain("k8s_yaml(kustomize('deploy/overlays/local'))");
    const rows = Array.from(table("SERVICES").matchAll(/^ {2}'([a-z-]+)'/gm), ([, name = ""]) => name);
    expect(rows.sort()).toEqual(services);
  });

  test("gives the build of an image each folder that is put into it", () => {
    const beside = /BESIDE\b.*? = \{(.*?)\};/s.exec(read("tools/image/pick.ts"))?.[1] ?? "";
    const rows = Array.from(beside.matchAll(/(\w+): \[(.*?)\]/g), ([, image = "", list = ""]) => ({
      image,
      folders: Array.from(list.matchAll(/"(.+?)"/g), ([, folder = ""]) => folder),
    }));
    expect(rows.length).toBeGreaterThan(0);
    for (const { image, folders } of rows) {
      const [, given = ""] = new RegExp(`^image\\('${image}', (.*)\\)$`, "m").exec(tiltfile) ?? [];
      expect(given.split(", "), image).toEqual(
        expect.arrayContaining(folders.map((folder) => `'${folder}'`)),
      );
    }
  });

  test("lets a service wait for those that it calls", async () => {
    const { readCallGraph } = await import("../tools/policies/call-graph.ts");
    const edges = await readCallGraph();
    for (const service of SERVICE_NAMES) {
      const row = new RegExp(`^ {2}'${service}': \\[\\d+, \\d+, \\[(.*)\\]\\],$`, "m").exec(
        table("SERVICES"),
      )?.[1];
      const needs = (row ?? "").match(/[a-z-]+/g) ?? [];
      const callees = edges.filter(({ caller, callee }) => caller === service && callee !== "issuer");
      expect(needs.sort(), service).toEqual(callees.map(({ callee }) => callee).sort());
    }
  });
});

describe("Docker compose", () => {
  test("has the shop as a profile, each service from its own image", () => {
    const shop = Object.values(compose.services).filter(({ profiles }) => profiles?.includes("shop"));
    const built = shop.map(({ image }) => image.replace("souk/", "")).sort();
    expect(built).toEqual(images.filter((name) => name !== "streams"));
    for (const { image, build } of shop) expect(image).toBe(`souk/${build?.args.SERVICE}`);
  });

  test.each(services)("tells each service all that it asks for: %s", async (service) => {
    const { readConfig } = (await import(`../services/${service}/config.ts`)) as {
      readConfig(env: Environment): Record<string, unknown>;
    };
    expect(readConfig(compose.services[service]?.environment ?? {})).toMatchObject({ host: "0.0.0.0" });
  });

  test("gives stores and issuer the passwords that it gives the services", () => {
    const clients = JSON.parse(compose.services.issuer?.environment?.CLIENTS ?? "{}");
    for (const service of SERVICE_NAMES) {
      const env = compose.services[service]?.environment ?? {};
      expect(clients[service].secret).toBe(env.CLIENT_SECRET);
      const password = compose.services.postgres?.environment?.[`${service.toUpperCase()}_APP_PASSWORD`];
      expect(new URL(env.DATABASE_URL ?? "").password).toBe(password);
    }
  });
});

test.each(["ci", "release"])("the workflow %s builds every image", (name) => {
  const matrices = read(`.github/workflows/${name}.yaml`).matchAll(/service: \[(.*)\]/g);
  const built = Array.from(matrices, ([, list = ""]) => list.split(", ").sort());
  expect(built).toEqual([images]);
});

describe("a release", () => {
  const workflow = parse(read(".github/workflows/release.yaml")) as {
    jobs: Readonly<Record<string, { needs?: string; steps: readonly Step[] }>>;
  };
  interface Step {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, string>>;
  }
  const steps = (job: string) => workflow.jobs[job]?.steps ?? [];
  const said = (job: string) =>
    steps(job)
      .map(({ run = "" }) => run)
      .join("\n");

  test("is built for both architectures, on a base that is named by its digest", () => {
    const build = steps("images").find(({ uses }) => uses?.startsWith("docker/build-push-action"))?.with;
    expect(build?.platforms).toBe("linux/amd64,linux/arm64");
    expect(build?.["build-args"]).toMatch(/NODE_IMAGE=\$\{\{ steps\.base\.outputs\.image \}\}/);
    expect(said("images")).toMatch(/image=\$base@\$\(docker buildx imagetools inspect/);
  });

  test("is signed, each image with its bill of materials, and so is the tree that names them", () => {
    expect(said("images")).toMatch(/npm run --silent sbom .*>sbom\.json/);
    expect(said("images")).toMatch(
      /cosign sign .*\n.*cosign attest .*--type cyclonedx --predicate sbom\.json/,
    );
    expect(said("manifests")).toMatch(/oras push [\s\S]*cosign sign/);
  });

  test("is not built where the release before would not understand it", () => {
    expect(said("contracts")).toContain('npm run check:contracts -- --against "$tag"');
    expect(workflow.jobs.images?.needs).toBe("contracts");
    expect(workflow.jobs.manifests?.needs).toBe("images");
  });
});

describe("deploy/versions.yaml", () => {
  const versions = parse(read("deploy/versions.yaml")) as {
    images: Readonly<Record<string, string>>;
    tools: Readonly<Record<string, string>>;
    istio: { readonly installed: string };
  };
  const workflows = globSync(".github/workflows/*.yaml", { cwd: root });

  test("names the image of each store, as the manifests and compose.yaml do, and that of Node, as the Dockerfile does", () => {
    const { node, ...stores } = versions.images;
    expect(read("Dockerfile")).toContain(`ARG NODE_IMAGE=${node}\n`);
    const texts = globSync("deploy/{base,components}/**/*.yaml", { cwd: root }).map(read);
    const run = texts.flatMap((text) =>
      Array.from(text.matchAll(/^\s*(?:- )?image: ([\w./-]+:[\w.-]+)$/gm), ([, image]) => image),
    );
    expect([...new Set(run)].sort()).toEqual(Object.values(stores).sort());
    for (const [name, image] of Object.entries(stores)) expect(compose.services[name]?.image).toBe(image);
  });

  test("has the version of every tool that a workflow installs, which tools.sh knows where to get", () => {
    const asked = workflows.flatMap((path) =>
      Array.from(read(path).matchAll(/tools\.sh "\$HOME\/tools" (.+)$/gm), ([, names = ""]) =>
        names.split(" "),
      ),
    );
    const script = read("deploy/platform/tools.sh");
    const known = Array.from(script.matchAll(/^ {4}([a-z-]+)\)/gm), ([, name = ""]) => name);
    expect(asked.length).toBeGreaterThan(3);
    for (const tool of asked.flat()) {
      expect(known, tool).toContain(tool);
      expect(tool === "istioctl" ? versions.istio.installed : versions.tools[tool], tool).toMatch(
        /^\d+\.\d+\.\d+$/,
      );
    }
  });

  test("is the only place that says so: no workflow pipes an installer into a shell or names a version of its own", () => {
    for (const path of workflows) expect(read(path)).not.toMatch(/\| *(ba)?sh\b|go (install|run) \S+@v/);
  });
});

test("whoever applies from Git is told whose fields are to be left alone", () => {
  const page = read("deploy/README.md");
  const named = Array.from(page.matchAll(/managedFieldsManagers: \[(.*?)\]/g), ([, manager]) => manager);
  expect(named).toEqual([FIELD_MANAGER, FIELD_MANAGER]);
});

test("the workflows run scripts that package.json has", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const texts = globSync(".github/workflows/*.yaml", { cwd: root }).map(read);
  const names = texts.flatMap((text) =>
    Array.from(text.matchAll(/npm run (?:--silent )?([\w:]+)/g), ([, one = ""]) => one),
  );
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !(name in scripts))).toEqual([]);
});

test("the documented grpcurl gets its identity beside its arguments, not in their place", () => {
  const command = /kubectl -n souk run (\w+) [\s\S]*?-- -plaintext/.exec(read("deploy/README.md"));
  const { spec } = JSON.parse(read("deploy/components/debug/run.json")) as {
    spec: { serviceAccountName: string; containers: { name: string }[] };
  };
  // Merged by name: the container is the one that kubectl run makes, which is named as its pod.
  expect(command?.[0]).toContain("--override-type=strategic");
  expect(spec.containers.map(({ name }) => name)).toEqual([command?.[1]]);
  expect(spec.serviceAccountName).toBe("debug");
});
