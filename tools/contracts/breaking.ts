// Compares the contract with that of the merge base. buf cannot read it from git by itself: the imports of `google/api` come
// from node_modules, which no commit has.

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf, runCommand } from "./command.ts";
import { findBase, findMergeBase } from "./merge-base.ts";
import type { Verdict } from "./verdict.ts";

const CONTRACT = "proto/souk";

/**
 * Finds what the work tree's contract takes away from, or changes in, the one its callers know: that of a revision, such as the tag of
 * a release, or of the merge base.
 */
export async function findBreakingChanges(repository: string, against?: string): Promise<Verdict> {
  const base = against === undefined ? await findMergeBase(repository) : await findBase(repository, against);
  if ("none" in base) return passed(`nothing to compare with: ${base.none}`);
  const scratch = mkdtempSync(join(tmpdir(), "souk-contract-"));
  try {
    const before = join(scratch, "before");
    if (!(await checkOut(repository, base.commit, before)))
      return passed(`nothing to compare with: no contract in ${base.commit}`);
    const [oldImage, newImage] = [join(scratch, "old.binpb"), join(scratch, "new.binpb")];
    await outputOf("buf", ["build", "--path", CONTRACT, "--output", oldImage], before);
    await outputOf("buf", ["build", "--path", CONTRACT, "--output", newImage], repository);
    // As images, since buf compares workspaces only where they have the same number of modules.
    const against = ["--against", oldImage, "--exclude-imports", "--config", "buf.yaml"];
    const { code, output } = await runCommand("buf", ["breaking", newImage, ...against], repository);
    return { faults: code === 0 ? [] : output.split("\n"), note: `against ${base.commit}, ${base.what}` };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const passed = (note: string): Verdict => ({ faults: [], note });

/** Writes a commit's contract to a folder; false where it has none. */
async function checkOut(repository: string, commit: string, folder: string): Promise<boolean> {
  const list = await outputOf("git", ["ls-tree", "-r", "--full-tree", "--name-only", commit], repository);
  const paths = list.split("\n").filter((path) => path.endsWith(".proto") || path === "buf.yaml");
  if (!paths.some((path) => path.startsWith(`${CONTRACT}/`))) return false;
  mkdirSync(folder);
  const archive = `${folder}.tar`;
  await outputOf("git", ["archive", "--format=tar", "--output", archive, commit, ...paths], repository);
  await outputOf("tar", ["-xf", archive, "-C", folder], repository);
  const packages = join(repository, "node_modules");
  if (existsSync(packages)) symlinkSync(packages, join(folder, "node_modules"));
  return true;
}
