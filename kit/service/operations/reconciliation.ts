import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ListFindingsRequest,
  ReconciliationService,
  type RunReconciliationRequest,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Finding, Reconciler } from "#kit/reconciliation/reconciliation.ts";
import { deadlineIn } from "#kit/time/time.ts";
import { command, query, rpc, type ServiceRpcs } from "../handlers.ts";
import { announceOperation } from "./announce-operation.ts";

const { method } = ReconciliationService;

/** What the operators' reconciliation RPCs work on. */
export interface ReconciliationParts {
  readonly service: string;
  readonly reconciler: Reconciler;
}

/** Runs comparisons and lists what they found. */
export const reconciliationRpcs = ({ service, reconciler }: ReconciliationParts): ServiceRpcs =>
  rpc(ReconciliationService, {
    runReconciliation: command(method.runReconciliation, {
      prepare: (request, call) => run(reconciler, request, call.deadline.remainingMs()),
      async apply(tx, { reconciliation }, call, outcome) {
        announceOperation(tx, { service, call, target: reconciliation });
        return outcome;
      },
    }),
    listFindings: query(method.listFindings, (request) => listFindings(reconciler, request)),
  });

const maxShown = 100;
/** Set aside for the answer, so that a run out of time can still say what it found. */
const answeringMs = 2_000;

async function run(reconciler: Reconciler, request: RunReconciliationRequest, remainingMs: number) {
  const { reconciliation, since, graceMs } = request;
  const { compared, complete } = await reconciler.runNow(reconciliation, {
    since: since && timestampDate(since),
    graceMs,
    deadline: deadlineIn(Math.max(0, remainingMs - answeringMs)),
  });
  const { count, findings } = await reconciler.open(reconciliation, maxShown);
  return { compared: BigInt(compared), complete, found: BigInt(count), findings: findings.map(toMessage) };
}

const findingShape = /^finding_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

async function listFindings(reconciler: Reconciler, request: ListFindingsRequest) {
  const { pageSize, pageToken, includeSettled } = request;
  const size = pageSize || defaultPageSize;
  const scope = ["ListFindings", String(includeSettled)];
  const [beforeId] = parsePageToken(scope, pageToken, [findingShape]) ?? [];
  const found = await reconciler.list({ includeSettled, beforeId, limit: size + 1 });
  const { items, last } = cutPage(found, size);
  return {
    findings: items.map(toMessage),
    nextPageToken: last ? toPageToken(scope, [last.findingId]) : "",
  };
}

const toMessage = ({ foundAt, settledAt, ...finding }: Finding) => ({
  ...finding,
  foundAt: timestampFromDate(foundAt),
  ...(settledAt && { settledAt: timestampFromDate(settledAt) }),
});
