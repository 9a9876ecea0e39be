import { type FaultKind, faultKinds } from "../faults/fault.ts";
import type { Incident } from "../faults/incident.ts";
import { countBy } from "../invariants/invariant.ts";
import type { Verdict } from "../invariants/invariants.ts";
import { hitsOf, type Requirement } from "../requirements.ts";
import type { RunOutcome } from "../run.ts";
import { percentile, recoveriesMs } from "./recovery.ts";

/** What a report is about. */
export interface ReportOptions {
  readonly command: string;
  readonly title: string;
  readonly commit: string;
  readonly machine: string;
  readonly date: string;
  readonly outcome: RunOutcome;
  readonly requirements: readonly Requirement[];
  readonly verdict: string;
  /** The picture's file name; undefined where none was drawn. */
  readonly picture: string | undefined;
}

const shownViolations = 10;

/** The report of a run as a page. */
export function writeReport(options: ReportOptions): string {
  const { command, title, commit, machine, date, outcome, requirements, verdict, picture } = options;
  return `${[
    `# ${title}`,
    "",
    `**${verdict}**`,
    "",
    `- Command: \`${command}\``,
    `- Date: ${date}; commit ${commit}; ${machine}`,
    "",
    ...(picture === undefined ? [] : [`![Outcomes and faults over time](${picture})`, ""]),
    ...section("Asked for and reached", requirementLines(requirements)),
    ...section("Invariants", invariantLines(outcome)),
    ...section("Orders", orderLines(outcome)),
    ...section("Faults", faultLines(outcome.incidents)),
    ...section("Recovery", recoveryLines(outcome)),
    ...(outcome.failures.length > 0
      ? section(
          "Failures of the harness",
          outcome.failures.map((failure) => `- ${failure}`),
        )
      : []),
  ]
    .join("\n")
    .trimEnd()}\n`;
}

const section = (title: string, lines: readonly string[]) => [`## ${title}`, "", ...lines, ""];

const table = (header: readonly string[], rows: readonly (readonly (string | number)[])[]) => [
  `| ${header.join(" | ")} |`,
  `| ${header.map(() => "---").join(" | ")} |`,
  ...rows.map((row) => `| ${row.join(" | ")} |`),
];

const requirementLines = (requirements: readonly Requirement[]) =>
  table(
    ["", "asked", "reached"],
    requirements.map(({ name, asked, reached }) => [name, asked, reached]),
  );

function invariantLines({ verdicts, verdictsAfterRestart }: RunOutcome): string[] {
  const again = (index: number) => wordOf(verdictsAfterRestart?.[index]);
  const rows = verdicts.map((verdict, index) => [
    verdict.invariant.number,
    `\`${verdict.invariant.name}\``,
    verdict.invariant.title,
    wordOf(verdict),
    again(index),
  ]);
  const broken = [...verdicts, ...(verdictsAfterRestart ?? [])].filter(
    ({ violations }) => violations.length > 0,
  );
  const details = broken.flatMap(({ invariant, violations }) => [
    "",
    `\`${invariant.name}\` broke ${violations.length} times:`,
    "",
    ...violations.slice(0, shownViolations).map((violation) => `- ${violation}`),
  ]);
  return [...table(["", "name", "what holds", "at rest", "after a restart"], rows), ...details];
}

function wordOf(verdict: Verdict | undefined): string {
  if (!verdict) return "not asked";
  if (verdict.notApplicable !== undefined) return `not applicable: ${verdict.notApplicable}`;
  return verdict.violations.length === 0 ? "holds" : `**broken** (${verdict.violations.length})`;
}

function orderLines({ evidence, outcomes }: RunOutcome): string[] {
  const own = evidence.orders.filter(({ orderId }) => !evidence.earlierOrders.has(orderId));
  const count = (status: string) => own.filter((order) => order.status === status).length;
  const attempts = (outcome: string) => outcomes.filter((one) => one.outcome === outcome).length;
  const copies = evidence.stream.length - new Set(evidence.stream.map(({ eventId }) => eventId)).size;
  return table(
    ["what", "how many"],
    [
      ["orders confirmed", count("confirmed")],
      ["orders paid back whole", count("refunded")],
      ["orders cancelled", count("cancelled")],
      ...commonest(cancelReasons(evidence)),
      ["returns and refunds done", evidence.orderEvents.filter(({ type }) => type === "refunded").length],
      ["requests answered with success", attempts("ok")],
      ["requests refused for a reason", attempts("fail")],
      ["requests without an answer, asked again", attempts("unknown")],
      ...commonest(unanswered(outcomes)),
      ["events in the streams", evidence.stream.length],
      ["of them copies of others", copies],
    ],
  );
}

const unanswered = (outcomes: RunOutcome["outcomes"]) =>
  outcomes.filter(({ outcome }) => outcome === "unknown").map(({ reason }) => reason);

const cancelReasons = ({ orderEvents, earlierOrders }: RunOutcome["evidence"]) =>
  orderEvents.flatMap(({ orderId, reason }) =>
    reason === undefined || earlierOrders.has(orderId) ? [] : [reason],
  );

/** Each reason and how often it was one, the commonest first. */
const commonest = (reasons: readonly string[]): [reason: string, count: number][] =>
  [...countBy(reasons, (reason) => reason)]
    .sort(([, one], [, other]) => other - one)
    .map(([reason, count]) => [`… ${reason}`, count]);

const faultLines = (incidents: readonly Incident[]) =>
  table(
    ["fault", "times", "parts hit"],
    faultKinds.map((kind) => [
      kind,
      incidents.filter(({ fault }) => fault.kind === kind).length,
      hitsOf(incidents, kind),
    ]),
  );

/** What is aimed at, in milliseconds: for stores the longest, for sagas the 99th percentile. */
const firstSuccessMs = 2_000;
const sagaEndMs = 15_000;

function recoveryLines({ incidents, outcomes, sagasTookMs, rest, standstills }: RunOutcome): string[] {
  const row = (name: string, values: readonly number[], share: number, aimMs: number) => {
    const judged = percentile(values, share);
    const aim = `${share === 1 ? "longest" : "p99"} ≤ ${aimMs / 1_000} s`;
    const word = judged === undefined ? "" : judged <= aimMs ? ": reached" : ": missed";
    return [
      name,
      values.length,
      ...[0.5, 0.99, 1].map((part) => inSeconds(percentile(values, part))),
      `${aim}${word}`,
    ];
  };
  const back = (store: string, kind: FaultKind) =>
    row(
      `the first success after ${store} was back, nothing else being out`,
      recoveriesMs(incidents, outcomes, kind, standstills),
      1,
      firstSuccessMs,
    );
  return [
    ...table(
      ["until", "cases", "p50", "p99", "longest", "aim"],
      [
        back("Postgres", "crash-postgres"),
        back("NATS", "kill-broker"),
        back("Redis", "kill-redis"),
        row("the end of sagas that were under way at heal", sagasTookMs, 0.99, sagaEndMs),
      ],
    ),
    "",
    rest.restless.length === 0
      ? `All had come to rest ${inSeconds(rest.tookMs)} after the last answer to a client.`
      : `Not all came to rest within ${inSeconds(rest.tookMs)}.`,
    ...standstillLines(standstills),
  ];
}

function standstillLines(standstills: RunOutcome["standstills"]): string[] {
  if (standstills.length === 0) return [];
  const times = standstills.map(({ fromMs, toMs }) => `${inSeconds(fromMs)} to ${inSeconds(toMs)}`);
  return ["", `Not even the harness ran from ${times.join(", from ")}: nothing is timed across that.`];
}

const inSeconds = (ms: number | undefined) => (ms === undefined ? "–" : `${(ms / 1_000).toFixed(2)} s`);
