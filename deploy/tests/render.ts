import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";

/** The root of the repository. */
export const REPOSITORY = resolve(import.meta.dirname, "../..");

/** A rendered object, as far as tests look into it. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: manifests of every kind; a test that reads a field wrongly fails.
  readonly spec: any;
  readonly data?: Readonly<Record<string, string>>;
}

// Verification tools may be in a folder of their own, which is not on the path of a test run.
const PATH = [process.env.PATH, process.env.SOUK_TOOLS && join(process.env.SOUK_TOOLS, "bin")]
  .filter(Boolean)
  .join(delimiter);

/** What a tool finds around it. */
export const environment = (more: Readonly<Record<string, string>> = {}) => ({
  ...process.env,
  PATH,
  ...more,
});

/** How to render here: by kustomize, or by the one inside kubectl. Undefined where there is neither. */
export const renderer: readonly [command: string, verb: string] | undefined = [
  ["kustomize", "build", "version"] as const,
  ["kubectl", "kustomize", "version --client"] as const,
].find(([command, , version]) => answers(command, version.split(" "))) as never;

/** Whether a program is there and says its version. */
export function answers(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { env: environment(), stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

/** Runs a tool to its end; resolves to its standard output, rejects with what it complained about. */
export async function runTool(
  command: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const options = { cwd: REPOSITORY, timeout: 60_000, maxBuffer: 64_000_000, env: environment(more) };
  return (await promisify(execFile)(command, args, options)).stdout;
}

/** What a folder with a kustomization renders to. */
export async function render(folder: string): Promise<Rendered[]> {
  const [command = "", verb = ""] = renderer ?? [];
  return parse(await runTool(command, [verb, folder]));
}

/** Reads a stream of YAML documents. */
export function parse(text: string): Rendered[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null);
}

/** What base and a choice of components render to. */
export async function renderCombination(components: readonly string[]): Promise<Rendered[]> {
  // Inside the tree: kustomize takes only paths that are relative to the folder.
  const folder = mkdtempSync(join(tmpdir(), "souk-render-"));
  try {
    const deploy = relative(folder, join(REPOSITORY, "deploy"));
    const lines = [
      "apiVersion: kustomize.config.k8s.io/v1beta1",
      "kind: Kustomization",
      `resources: [${deploy}/base]`,
      `components: [${components.map((name) => `${deploy}/components/${name}`).join(", ")}]`,
    ];
    writeFileSync(join(folder, "kustomization.yaml"), lines.join("\n"));
    return await render(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
