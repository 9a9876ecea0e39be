// `npm run -s sbom -- orders`: the bill of materials (CycloneDX) of an image, on standard output.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runCommand } from "../contracts/command.ts";
import { type Bill, billOf, type Lock } from "./bill.ts";

const repository = resolve(import.meta.dirname, "../..");
const [service] = process.argv.slice(2);
if (service === undefined) throw new Error("usage: npm run -s sbom -- SERVICE");

const args = ["sbom", "--sbom-format=cyclonedx", "--sbom-type=application", "--package-lock-only"];
const { code, output } = await runCommand("npm", args, repository);
if (code !== 0) throw new Error(`npm sbom ended with exit code ${code}: ${output}`);
// Warnings of npm stand around the document.
const whole: Bill = JSON.parse(output.slice(output.indexOf("{\n"), output.lastIndexOf("}") + 1));
const lock: Lock = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8"));
console.log(JSON.stringify(billOf(service, whole, lock), undefined, 2));
