import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import type { RunOptions } from "../flags.ts";
import { searchFor } from "../planted.ts";
import { hitsOf, measureRun, type Requirement } from "../requirements.ts";
import { isBroken, type RunOutcome } from "../run.ts";
import { REPLICAS, REPLICATED } from "../shop/ports.ts";
import { writeReport } from "./markdown.ts";
import { drawPicture } from "./picture.ts";

/** What a run comes to. */
export interface Conclusion {
  /** 0: it held, and the run was what it was asked to be. 1: an invariant broke. 3: too little happened to tell. */
  readonly exitCode: 0 | 1 | 3;
  readonly report: string;
  readonly outcome: RunOutcome;
  readonly commit: string;
}

/** Judges a run, and writes its report and picture into the folder asked for. */
export function conclude(options: RunOptions, command: string, outcome: RunOutcome): Conclusion {
  const requirements = requirementsOf(options, outcome);
  const exitCode = exitCodeOf(requirements, outcome, options.planted);
  const commit = gitCommit();
  const name = `${options.variant}-${options.minutes}m-seed${options.seed}`;
  const page = {
    command: command.trim(),
    title: `Chaos: ${options.planted ?? options.variant}, ${options.minutes} minutes, seed ${options.seed}`,
    commit,
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
    date: new Date().toISOString().slice(0, 10),
    outcome,
    requirements,
    verdict: sentenceOf(exitCode, outcome, options.planted),
  };
  if (options.planted !== undefined)
    return { exitCode, report: writeReport({ ...page, picture: undefined }), outcome, commit };
  mkdirSync(options.outFolder, { recursive: true });
  const durationMs = options.minutes * 60_000;
  writeFileSync(join(options.outFolder, `${name}.svg`), drawPicture({ ...outcome, durationMs }));
  const report = writeReport({ ...page, picture: `${name}.svg` });
  writeFileSync(join(options.outFolder, `${name}.md`), report);
  return { exitCode, report, outcome, commit };
}

function requirementsOf(
  { minutes, speed, variant, against, planted }: RunOptions,
  { evidence, incidents, outcomes }: RunOutcome,
) {
  if (planted !== undefined) return [];
  const orders = evidence.orders.filter(({ orderId }) => !evidence.earlierOrders.has(orderId)).length;
  const faults = against === undefined && (variant === "random" || variant === "swizzle");
  const asked = measureRun({ minutes, speed, incidents, orders, faults });
  if (variant !== "rolling") return asked;
  const unanswered = outcomes.filter(({ outcome }) => outcome === "unknown").length;
  // Told the other way round, so that more is better here too.
  return [
    ...asked,
    {
      name: "replicas restarted",
      asked: REPLICATED.length * REPLICAS.length,
      reached: hitsOf(incidents, "restart-service"),
    },
    { name: "requests that did not fail", asked: outcomes.length, reached: outcomes.length - unanswered },
  ];
}

function exitCodeOf(
  requirements: readonly Requirement[],
  outcome: RunOutcome,
  planted: string | undefined,
): Conclusion["exitCode"] {
  if (planted !== undefined) return brokeAny(outcome, searchFor(planted).invariants) ? 1 : 3;
  if (isBroken(outcome.verdicts) || isBroken(outcome.verdictsAfterRestart ?? [])) return 1;
  const short = requirements.some(({ asked, reached }) => reached < asked);
  return short || outcome.failures.length > 0 ? 3 : 0;
}

/** A planted bug is found by an invariant that is about it; that something else went wrong does not count. */
const brokeAny = ({ verdicts, verdictsAfterRestart }: RunOutcome, names: readonly string[]) =>
  [...verdicts, ...(verdictsAfterRestart ?? [])].some(
    ({ invariant, violations }) => violations.length > 0 && names.includes(invariant.name),
  );

function sentenceOf(
  exitCode: Conclusion["exitCode"],
  { verdicts, verdictsAfterRestart }: RunOutcome,
  planted: string | undefined,
): string {
  if (planted !== undefined && exitCode !== 1) return `The planted bug ${planted} was not found.`;
  if (exitCode === 0) return "Every invariant held.";
  if (exitCode === 3) return "Every invariant held, but the run did not do all that it was asked to.";
  const broken = [...verdicts, ...(verdictsAfterRestart ?? [])].filter(
    ({ violations }) => violations.length > 0,
  );
  return `Broken: ${[...new Set(broken.map(({ invariant }) => invariant.name))].join(", ")}.`;
}

/** The commit the tree was at; unknown where this is no clone. */
function gitCommit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { stdio: ["ignore", "pipe", "ignore"] })
      .toString()
      .trim();
  } catch {
    return "unknown";
  }
}
