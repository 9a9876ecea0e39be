// `npm run gen:policies`: writes the policies that follow from who calls whom, and the Jobs that are named by their migrations. With
// --check it only says which files differ.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readCallGraph } from "./policies/call-graph.ts";
import { brokerFiles, jobFiles, policyFiles } from "./policies/files.ts";

const repository = resolve(import.meta.dirname, "..");
const onlyCheck = process.argv[2] === "--check";

const files = new Map([
  ...policyFiles(await readCallGraph()),
  ...(await jobFiles()),
  ...(await brokerFiles()),
]);

for (const [path, text] of files) {
  const file = join(repository, path);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  console.log(onlyCheck ? `${path} is not what the declared calls say; run npm run gen:policies` : path);
  if (onlyCheck) {
    process.exitCode = 1;
    continue;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
