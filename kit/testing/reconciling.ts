import { ReconciliationService } from "#gen/souk/ops/v1/ops_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { TestService } from "./testing.ts";

/** A finding as a test looks at it. */
export interface SeenFinding {
  readonly subjectId: string;
  readonly detail: string;
}

/** An operator who runs a service's comparisons; nothing counts as busy where no grace is named. */
export function openReconciling(service: TestService, name: string) {
  const operator = service.client(ReconciliationService, {
    sub: "user_operator",
    scope: "ops:reconciliation",
  });
  return {
    /** Runs a comparison over everything, or over what is new since a time, and answers what disagrees afterwards. */
    async run(reconciliation: string, { graceMs = 0, since }: { graceMs?: number; since?: Date } = {}) {
      const seconds = since && { seconds: BigInt(Math.floor(since.getTime() / 1_000)), nanos: 0 };
      const { findings, complete } = await operator.runReconciliation(
        { service: name, reconciliation, graceMs, ...(seconds && { since: seconds }) },
        { idempotencyKey: newId("key"), timeoutMs: 30_000 },
      );
      if (!complete) throw new Error(`${reconciliation} was not through in time`);
      return findings.map(({ subjectId, detail }): SeenFinding => ({ subjectId, detail }));
    },
    /** Open findings as ListFindings shows them: subjects by comparison. */
    async listed(): Promise<readonly string[]> {
      const { findings } = await operator.listFindings({ service: name });
      return findings.map(({ reconciliation, subjectId }) => `${reconciliation} ${subjectId}`);
    },
    /** How many DiscrepancyFound were announced about a subject. */
    async announced(subjectId: string): Promise<number> {
      const [row] = await service.db.query<{ events: number }>(countAnnounced, [subjectId]);
      return row?.events ?? 0;
    },
    /** The gauge of open findings. */
    async gauge(reconciliation: string): Promise<number> {
      const text = await (await fetch(`${service.metricsUrl}/metrics`)).text();
      const label = `reconciliation_findings_open{reconciliation="${reconciliation}"}`;
      return Number(
        text
          .split("\n")
          .find((line) => line.startsWith(label))
          ?.split(" ")
          .at(-1),
      );
    },
  };
}

/** What {@link openReconciling} opens. */
export type Reconciling = ReturnType<typeof openReconciling>;

const countAnnounced = statement(
  "test-count-discrepancies",
  `select count(*)::int as events from kit.outbox o join kit.findings f on o.headers->>'ce-subject' = f.finding_id
    where f.subject_id = $1 and o.headers->>'ce-type' = 'souk.ops.v1.DiscrepancyFound'`,
);
