import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ListSagasRequest,
  SagaResolution,
  SagaService,
  SagaStatus as WireStatus,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { SagaStatus } from "#kit/saga/definition.ts";
import type { SagaOperations, SagaRecord } from "#kit/saga/operations.ts";
import { command, query, rpc, type ServiceRpcs } from "../handlers.ts";
import { announceOperation } from "./announce-operation.ts";

const { method } = SagaService;

/** What the operators' saga RPCs work on. */
export interface SagaParts {
  readonly service: string;
  readonly engine: { readonly operations: SagaOperations };
}

/** Lists and shows sagas, and lets an operator decide where a parked one goes on. */
export const sagaRpcs = ({ service, engine: { operations } }: SagaParts): ServiceRpcs =>
  rpc(SagaService, {
    listSagas: query(method.listSagas, (request) => listSagas(operations, request)),
    getSaga: query(method.getSaga, async ({ sagaId }) => ({
      saga: toFullMessage(await operations.show(sagaId)),
    })),
    retrySaga: command(method.retrySaga, {
      async apply(tx, { sagaId }, call) {
        const saga = await operations.retry(tx, sagaId);
        announceOperation(tx, { service, call, target: sagaId });
        return { saga: toFullMessage(saga) };
      },
    }),
    resolveSaga: command(method.resolveSaga, {
      async apply(tx, { sagaId, resolution: wanted, step, why }, call) {
        const resolution = wanted === SagaResolution.STEP_DONE ? "step done" : "compensate";
        const saga = await operations.resolve(tx, sagaId, { resolution, step });
        announceOperation(tx, { service, call, target: sagaId, why });
        return { saga: toFullMessage(saga) };
      },
    }),
  });

const sagaShape = /^saga_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

async function listSagas(
  operations: SagaOperations,
  { pageSize, pageToken, status: wanted, subjectId }: ListSagasRequest,
) {
  const size = pageSize || defaultPageSize;
  const scope = ["ListSagas", String(wanted), subjectId];
  const [beforeSagaId = ""] = parsePageToken(scope, pageToken, [sagaShape]) ?? [];
  const status = statuses.get(wanted);
  const rows = await operations.list({ beforeSagaId, status, subjectId, limit: size + 1 });
  const { items, last } = cutPage(rows, size);
  return { sagas: items.map(toMessage), nextPageToken: last ? toPageToken(scope, [last.sagaId]) : "" };
}

const wireStatuses: Readonly<Record<SagaStatus, WireStatus>> = {
  running: WireStatus.RUNNING,
  compensating: WireStatus.COMPENSATING,
  completed: WireStatus.COMPLETED,
  compensated: WireStatus.COMPENSATED,
  parked: WireStatus.PARKED,
};

const statuses = new Map(Object.entries(wireStatuses).map(([status, wire]) => [wire, status as SagaStatus]));

function toMessage({ steps: _, ...saga }: SagaRecord) {
  return {
    ...saga,
    status: wireStatuses[saga.status],
    nextWakeupAt: timestampFromDate(saga.nextWakeupAt),
    createdAt: timestampFromDate(saga.createdAt),
    updatedAt: timestampFromDate(saga.updatedAt),
  };
}

const toFullMessage = (saga: SagaRecord) => ({
  ...toMessage(saga),
  steps: saga.steps.map((step) => ({ ...step })),
});
