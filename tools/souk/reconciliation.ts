// `souk reconcile`, `souk findings`

import { toJson } from "@bufbuild/protobuf";
import { type Finding, FindingSchema, ReconciliationService } from "#gen/souk/ops/v1/ops_pb.ts";
import { type DeskCommand, optional, WrongUse } from "./command.ts";
import { toEntry } from "./entries.ts";
import { limitFlag, readLimit, readPages } from "./listing.ts";
import { askServices, readService, serviceFlag, toServiceName } from "./services.ts";
import { type Columns, drawTable, drawTime } from "./words.ts";

const methods = ReconciliationService.method;
const MAX_GRACE_MS = 86_400_000;

type Row = { service: string; finding: Finding };

const columns: Columns<Row> = {
  Service: ({ service }) => service,
  Comparison: ({ finding }) => finding.reconciliation,
  About: ({ finding }) => finding.subjectId,
  Detail: ({ finding }) => finding.detail,
  Finding: ({ finding }) => finding.findingId,
  Found: ({ finding }) => drawTime(finding.foundAt),
  Settled: ({ finding }) => drawTime(finding.settledAt),
};

const reconcile: DeskCommand = {
  name: "reconcile",
  operands: ["[SERVICE]", "[COMPARISON]"],
  flags: {
    "grace-ms": {
      type: "string",
      value: "N",
      help: "compare what has not changed for this long; each service's own setting where unset",
    },
  },
  summary: "Compares records that must agree, now: of one service or all, by one comparison or all.",
  prepare(input) {
    const [service, reconciliation = "all"] = input.operands;
    const name = toServiceName(service ?? "all");
    const graceMs = readGrace(optional(input, "grace-ms"));
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, name, (one) =>
        desk.ask(methods.runReconciliation, { service: one, reconciliation, ...graceMs }),
      );
      const rows = answers.flatMap(({ service: one, answer }) =>
        answer.findings.map((finding) => ({ service: one, finding })),
      );
      const late = answers.filter(({ answer }) => !answer.complete);
      const lateness = late.map(({ service: one }) => `${one}: not everything was compared in time`);
      const compared = answers.reduce((sum, { answer }) => sum + answer.compared, 0n);
      const text = drawTable(columns, rows, `Nothing disagrees; ${compared} records were compared.`);
      return { text, entries: rows.map(entryOf), refusals: [...refusals, ...lateness] };
    };
  },
};

function readGrace(text: string | undefined): { graceMs?: number } {
  if (text === undefined) return {};
  if (/^\d{1,8}$/.test(text) && Number(text) <= MAX_GRACE_MS) return { graceMs: Number(text) };
  throw new WrongUse(`--grace-ms is a whole number from 0 to ${MAX_GRACE_MS}, not "${text}"`);
}

const findings: DeskCommand = {
  name: "findings",
  operands: [],
  flags: {
    ...serviceFlag,
    settled: { type: "boolean", help: "also those that no longer stand" },
    ...limitFlag,
  },
  summary: "Lists records that disagree, newest first.",
  prepare(input) {
    const [service, limit] = [readService(input), readLimit(input)];
    const includeSettled = input.values.settled === true;
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        readPages(limit, async (page) => {
          const request = { service: name, includeSettled, ...page };
          const answer = await desk.ask(methods.listFindings, request);
          return { entries: answer.findings, nextPageToken: answer.nextPageToken };
        }),
      );
      const rows = answers.flatMap(({ service: name, answer }) =>
        answer.map((finding) => ({ service: name, finding })),
      );
      return { text: drawTable(columns, rows, "Nothing disagrees."), entries: rows.map(entryOf), refusals };
    };
  },
};

/** The commands about records that must agree. */
export const reconciliationCommands: readonly DeskCommand[] = [reconcile, findings];

const entryOf = ({ service, finding }: Row) => toEntry(service, toJson(FindingSchema, finding));
