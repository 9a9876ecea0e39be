// What one image holds beside its modules: `node tools/image/pick.ts <name> <folder>`, run by the Dockerfile. `main.ts` in that
// folder is a link to the entry of what was picked, so that every image starts alike.

import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";

/** Folders and files of every image. `package.json` maps the imports that begin with #. */
const ALWAYS = ["package.json", "kit", "gen", "edge"];

/** The watchdog over canaries needs no more than the image of the streams has, and production runs that one anyway. */
const BESIDE: Readonly<Record<string, readonly string[]>> = { streams: ["deploy/canary", "tools/top"] };

const [name = "", target = ""] = process.argv.slice(2);
if (target === "") throw new Error("usage: node tools/image/pick.ts NAME FOLDER");
const { folder, entry } = findEntry(name);
mkdirSync(target, { recursive: true });
for (const path of [...ALWAYS, folder, ...(BESIDE[name] ?? [])])
  cpSync(path, join(target, path), { recursive: true });
symlinkSync(entry, join(target, "main.ts"));

function findEntry(name: string): { folder: string; entry: string } {
  const places = [
    { folder: `services/${name}`, entry: `services/${name}/main.ts` },
    // Sandboxes share the files above their folders.
    { folder: "sandboxes", entry: `sandboxes/${name}/main.ts` },
    { folder: `tools/${name}`, entry: `tools/${name}/main.ts` },
    { folder: name, entry: name === "tools" ? "tools/souk.ts" : "" },
  ];
  const found = places.find(({ entry }) => /^[a-z-]+$/.test(name) && existsSync(entry));
  if (found) return found;
  throw new Error(`SERVICE is a service, a sandbox, a program of tools/, or tools; there is no "${name}"`);
}
