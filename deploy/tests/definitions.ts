// The definitions that deploy/versions.yaml names, as the Go module proxy hands them out, in a folder: node deploy/tests/definitions.ts
// FOLDER, or FOLDER NAME... for some of them. Those of custom resources can be applied to an API server as they are, and schemas.ts makes
// schemas of all.

import { execFileSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parse } from "yaml";

interface Source {
  readonly module: string;
  readonly version: string;
  readonly files: readonly string[];
}

const DOWNLOAD_MS = 300_000;

const versions = readFileSync(resolve(import.meta.dirname, "../versions.yaml"), "utf8");
const { definitions } = parse(versions) as { definitions: Readonly<Record<string, Source>> };
const [folder, ...chosen] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node deploy/tests/definitions.ts FOLDER [NAME...]");
mkdirSync(folder, { recursive: true });
for (const name of chosen.length > 0 ? chosen : Object.keys(definitions)) copy(name, folder);

function copy(name: string, to: string): void {
  const source = definitions[name];
  if (!source) throw new Error(`no ${name} in deploy/versions.yaml: ${Object.keys(definitions).join(", ")}`);
  const { module, version, files } = source;
  const from = download(`${module}@${version}`);
  const found = globSync([...files], { cwd: from });
  if (found.length === 0) throw new Error(`${module}@${version} has no ${files.join(", ")}`);
  // Two projects may name their files alike.
  for (const file of found) copyFileSync(join(from, file), join(to, `${name}-${basename(file)}`));
  console.log(`${name} ${version}: ${found.length} ${found.length === 1 ? "file" : "files"}`);
}

/** Where a module's files are; a module that was downloaded before is not asked for again. */
function download(module: string): string {
  // Outside of any module, so that nobody's go.mod is minded.
  const answer = execFileSync("go", ["mod", "download", "-json", module], {
    cwd: tmpdir(),
    encoding: "utf8",
    timeout: DOWNLOAD_MS,
    maxBuffer: 8_000_000,
    env: { ...process.env, GOFLAGS: "-mod=mod" },
  });
  return (JSON.parse(answer) as { Dir: string }).Dir;
}
