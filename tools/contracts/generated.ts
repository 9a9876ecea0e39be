import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiPages } from "../api-pages.ts";
import { errorsPage } from "../errors-page.ts";
import { outputOf } from "./command.ts";
import type { Verdict } from "./verdict.ts";

function verdictOn(faults: readonly string[]): Verdict {
  return { faults: faults.length === 0 ? [] : [...faults, "Run npm run gen, and commit what it changes."] };
}

/** Generates the code once more, elsewhere, and compares: somebody may have forgotten to, or edited it by hand. */
export async function findStaleCode(repository: string): Promise<Verdict> {
  const scratch = mkdtempSync(join(tmpdir(), "souk-gen-"));
  try {
    await outputOf("buf", ["generate", "--output", scratch], repository);
    return verdictOn(differencesBetween(join(repository, "gen"), join(scratch, "gen")));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Compares two folders file by file; names are relative to them. */
export function differencesBetween(committed: string, generated: string): string[] {
  const names = new Set([committed, generated].flatMap((folder) => globSync("**/*.*", { cwd: folder })));
  return [...names].sort().flatMap((name) => {
    const [ours, made] = [join(committed, name), join(generated, name)];
    if (!existsSync(made)) return [`${name} is committed, but not generated`];
    if (!existsSync(ours)) return [`${name} is generated, but not committed`];
    return readFileSync(ours).equals(readFileSync(made)) ? [] : [`${name} differs`];
  });
}

/** Makes the documents of reasons, routes and events once more and compares. */
export async function findStalePages(repository: string): Promise<Verdict> {
  const pages = [["docs/errors.md", await errorsPage()] as const, ...(await apiPages())];
  const stale = pages.filter(([path, text]) => readFileSync(join(repository, path), "utf8") !== text);
  return verdictOn(stale.map(([path]) => `${path} differs`));
}
