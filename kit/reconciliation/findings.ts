import { DiscrepancyFoundSchema } from "#gen/souk/ops/v1/events_pb.ts";
import { newId, newUuid } from "#kit/ids/ids.ts";
import { announce } from "#kit/outbox/outbox.ts";
import type { Database, Queryable, Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import type { Verdict } from "./definition.ts";
import { selectFindings, settleFindings, upsertFindings } from "./statements.ts";

/** Two records that disagree. */
export interface Finding {
  /** `finding_…`. */
  readonly findingId: string;
  /** The comparison that found it. */
  readonly reconciliation: string;
  readonly subjectId: string;
  readonly detail: string;
  readonly foundAt: Date;
  /** When a later run no longer saw it; undefined while it stands. */
  readonly settledAt: Date | undefined;
}

/** Which findings to read. */
export interface FindingPage {
  /** Those of these comparisons; of all where unset. */
  readonly reconciliations?: readonly string[];
  /** Those older than this one. */
  readonly beforeId?: string | undefined;
  readonly includeSettled: boolean;
  readonly limit: number;
}

/** Where findings are kept and told of. */
export interface FindingsParts {
  readonly db: Database;
  readonly log: Logger;
  /** The service in which they are found. */
  readonly service: string;
}

/** Reads findings, newest first. */
export async function readFindings(source: Queryable, page: FindingPage): Promise<Finding[]> {
  const rows = await source.query<FindingRow>(selectFindings, [
    page.reconciliations ?? null,
    page.beforeId ?? null,
    page.includeSettled,
    page.limit,
  ]);
  return rows.map((row) => ({
    findingId: row.finding_id,
    reconciliation: row.reconciliation,
    subjectId: row.subject_id,
    detail: row.detail,
    foundAt: row.found_at,
    settledAt: row.settled_at ?? undefined,
  }));
}

interface FindingRow {
  finding_id: string;
  reconciliation: string;
  subject_id: string;
  detail: string;
  found_at: Date;
  settled_at: Date | null;
}

/** Records verdicts: new disagreements are announced and logged once, those that are gone are settled. */
export async function recordVerdicts(
  { db, log, service }: FindingsParts,
  reconciliation: string,
  verdicts: readonly Verdict[],
): Promise<void> {
  const agreed = verdicts.filter(({ discrepancy }) => discrepancy === undefined);
  const found = verdicts.flatMap(({ subjectId, discrepancy: detail }) =>
    detail === undefined ? [] : [{ findingId: newId("finding"), subjectId, detail }],
  );
  await db.transaction(async (tx) => {
    const settled = tx.query(settleFindings, [reconciliation, agreed.map(({ subjectId }) => subjectId)]);
    const [fresh] = await Promise.all([upsert(tx, reconciliation, found), settled]);
    for (const finding of fresh) {
      const message = { ...finding, service, reconciliation };
      announce(tx, DiscrepancyFoundSchema, message, { aggregateVersion: 1, correlationId: newUuid() });
      tx.afterCommit(() => log.warn({ reconciliation, ...finding }, "records disagree"));
    }
  });
}

type NewFinding = Pick<Finding, "findingId" | "subjectId" | "detail">;

/** Answers those that were not known: the row of a known one has kept its earlier id. */
async function upsert(
  tx: Transaction,
  reconciliation: string,
  found: readonly NewFinding[],
): Promise<NewFinding[]> {
  if (found.length === 0) return [];
  const rows = await tx.query<FindingRow>(upsertFindings, [
    reconciliation,
    found.map(({ findingId }) => findingId),
    found.map(({ subjectId }) => subjectId),
    found.map(({ detail }) => detail),
  ]);
  const made = new Set(rows.map((row) => row.finding_id));
  return found.filter(({ findingId }) => made.has(findingId));
}
