// `npm run release:images -- --registry registry.example.com/souk --version 1.2.0 --digests folder`: names every image by its digest in
// deploy/components/images-digest. The folder has a file per image, whose text is the digest.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { releaseFiles } from "./digests.ts";

const { values } = parseArgs({
  options: { registry: { type: "string" }, version: { type: "string" }, digests: { type: "string" } },
});
const { registry, version, digests: folder } = values;
if (!registry || !version || !folder)
  throw new Error("usage: npm run release:images -- --registry HOST/PATH --version X.Y.Z --digests FOLDER");

const component = resolve(import.meta.dirname, "../../deploy/components/images-digest");
const digests = new Map(
  readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), "utf8").trim()]),
);
for (const [name, text] of await releaseFiles({ registry, version, digests }))
  writeFileSync(join(component, name), text);
