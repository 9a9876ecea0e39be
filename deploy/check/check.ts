/** What became of one line. */
export type Verdict = "PASS" | "FAIL" | "SKIPPED";

/** Says what was seen, line by line. */
export interface Report {
  /** Judges a claim. */
  expect(holds: boolean, claim: string, seen: string): void;
  /** A claim that cannot be shown here, and why. */
  skip(claim: string, reason: string): void;
}

/** What a check is told about the cluster and the images in it. */
export interface Setting {
  /** The tag of all images, which the nodes have or can pull. */
  readonly tag: string;
  /** What is put before `souk/orders` where images come from a registry: `registry.example.com/`; empty otherwise. */
  readonly registry: string;
  /** grpcurl's image, which the nodes have or can pull. */
  readonly grpcurlImage: string;
  /** How many calls a second are made while it is counted what pods use; one of four is an order. */
  readonly usageRate: number;
  /** How long the longest check, that of the pods that die, puts load on the shop. */
  readonly chaosMinutes: number;
  /** How many good canaries are released one after the other, to see how many of them are aborted. */
  readonly goodCanaries: number;
}

/** One claim about the shop on a cluster, and how it is tried. A check that rejects has failed. */
export interface Check {
  /** As in `--only rolling-restart`. */
  readonly name: string;
  /** Leaves the shop as it found it: every Deployment available, with as many replicas as before. */
  run(setting: Setting, report: Report): Promise<void>;
}

/** A report that prints, and counts. */
export function createReport(
  print: (line: string) => void,
): Report & { readonly counts: Record<Verdict, number> } {
  const counts: Record<Verdict, number> = { PASS: 0, FAIL: 0, SKIPPED: 0 };
  const say = (verdict: Verdict, claim: string, seen: string) => {
    counts[verdict] += 1;
    print(`${verdict.padEnd(7)}  ${claim}: ${seen}`);
  };
  return {
    counts,
    expect: (holds, claim, seen) => say(holds ? "PASS" : "FAIL", claim, seen),
    skip: (claim, reason) => say("SKIPPED", claim, reason),
  };
}

/** Runs checks one after the other; one that rejects is a FAIL, and the next is tried all the same. */
export async function runChecks(checks: readonly Check[], setting: Setting, report: Report): Promise<void> {
  for (const { name, run } of checks)
    await run(setting, report).catch((error: Error) => report.expect(false, name, error.message));
}
