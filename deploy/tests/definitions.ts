// The definitions that deploy/versions.yaml names, as the Go module proxy hands them out, in a folder: node deploy/tests/definitions.ts
// FOLDER. Those of custom resources can be applied to an API server as they are, and schemas.ts makes schemas of all.

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

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node deploy/tests/definitions.ts FOLDER");
mkdirSync(folder, { recursive: true });

const versions = readFileSync(resolve(import.meta.dirname, "../versions.yaml"), "utf8");
const { definitions } = parse(versions) as { definitions: readonly Source[] };
for (const { module, version, files } of definitions) {
  const source = download(`${module}@${version}`);
  const found = globSync([...files], { cwd: source });
  if (found.length === 0) throw new Error(`${module}@${version} has no ${files.join(", ")}`);
  // Two projects may name their files alike.
  for (const file of found)
    copyFileSync(join(source, file), join(folder, `${basename(module)}-${basename(file)}`));
  console.log(`${module} ${version}: ${found.length} ${found.length === 1 ? "file" : "files"}`);
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
