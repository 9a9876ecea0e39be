import { runCommand } from "./command.ts";

/** The commit whose contract the present one must not break, or why there is none. */
export type Base = { commit: string; what: string } | { none: string };

const MAIN_BRANCHES = ["origin/main", "main"];

/**
 * Finds the commit at which the present branch left main. On main itself that is the commit before: what was there when
 * the last change came in.
 */
export async function findMergeBase(repository: string): Promise<Base> {
  const head = await commitOf(repository, "HEAD");
  if (head === undefined) return { none: "the repository has no commit" };
  for (const branch of MAIN_BRANCHES) {
    const { code, output } = await runCommand("git", ["merge-base", "HEAD", branch], repository);
    if (code === 0 && output !== head) return { commit: output, what: `where HEAD left ${branch}` };
    if (code === 0) return await parentOf(repository, branch);
  }
  return { none: "no branch main shares history with HEAD" };
}

/** The commit of a revision that somebody named. Rejects where there is none. */
export async function findBase(repository: string, revision: string): Promise<Base> {
  const commit = await commitOf(repository, revision);
  if (commit === undefined) throw new Error(`${revision} is no commit`);
  return { commit, what: revision };
}

async function parentOf(repository: string, branch: string): Promise<Base> {
  const parent = await commitOf(repository, "HEAD^");
  return parent === undefined
    ? { none: "HEAD is the first commit" }
    : { commit: parent, what: `the commit before HEAD, which ${branch} has` };
}

async function commitOf(repository: string, name: string): Promise<string | undefined> {
  const args = ["rev-parse", "--quiet", "--verify", `${name}^{commit}`];
  const { code, output } = await runCommand("git", args, repository);
  return code === 0 ? output : undefined;
}
