import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OperatorActedSchema } from "#gen/souk/ops/v1/events_pb.ts";
import { SagaResolution, SagaService, SagaStatus } from "#gen/souk/ops/v1/ops_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Client } from "#kit/rpc/client.ts";
import { createCounters } from "#kit/testing/fixture/counters.ts";
import { eventually, startForTest, type TestService } from "#kit/testing/testing.ts";

let service: TestService;
let sagas: Client<typeof SagaService>;
const named = { service: "counters" };

beforeAll(async () => {
  service = await startForTest(createCounters());
  sagas = service.client(SagaService, { sub: "user_operator", scope: "ops:sagas" });
});
afterAll(() => service.stop());

const insertSaga = statement(
  "test-insert-saga",
  `insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input, failure, parking,
     step_started_at, next_wakeup_at, created_at, updated_at)
   select $1, 'settle', $2, $3, 'corr', $4, jsonb_build_object('orderId', $3::text), null, $5, t, t, t, t
     from (select souk_now() - interval '1 hour' as t) clock`,
);

const parking = JSON.stringify({ reason: "OUT_OF_STOCK", message: "Nothing left." });

/** Leaves a parked saga at its one step. */
async function park(subjectId: string): Promise<string> {
  const sagaId = newId("saga");
  await service.db.query(insertSaga, [sagaId, 1, subjectId, "parked", parking]);
  return sagaId;
}

const key = () => ({ idempotencyKey: crypto.randomUUID() });
const why = "Counted by hand.";

const selectActs = statement(
  "test-select-acts",
  `select payload from kit.outbox where subject like '%OperatorActed' order by xid, seq`,
);

async function actsOn(target: string) {
  const rows = await service.db.query<{ payload: Buffer }>(selectActs);
  return rows
    .map(({ payload }) => fromBinary(OperatorActedSchema, payload))
    .filter((act) => act.target === target);
}

const becomes = (sagaId: string, status: SagaStatus) =>
  eventually(async () => {
    const { saga } = await sagas.getSaga({ ...named, sagaId });
    expect(saga?.status).toBe(status);
    return saga;
  });

test("a parked saga is listed, shown with its steps, and goes on when it is retried; who did it is announced once", async () => {
  const sagaId = await park("order_retried");
  const listed = await sagas.listSagas({ ...named, status: SagaStatus.PARKED, subjectId: "order_retried" });
  expect(listed.sagas).toMatchObject([{ sagaId, status: SagaStatus.PARKED, step: "count", steps: [] }]);
  const { saga } = await sagas.getSaga({ ...named, sagaId });
  expect(saga).toMatchObject({
    definition: "settle",
    definitionVersion: 1,
    subjectId: "order_retried",
    reason: "OUT_OF_STOCK",
    message: "Nothing left.",
    correlationId: "corr",
    steps: [{ name: "count", done: false, resultJson: "", pivot: false }],
  });
  const once = key();
  const retried = await sagas.retrySaga({ ...named, sagaId }, once);
  expect(retried.saga).toMatchObject({ sagaId, status: SagaStatus.RUNNING, reason: "" });
  expect((await sagas.retrySaga({ ...named, sagaId }, once)).saga?.status).toBe(SagaStatus.RUNNING);
  const ended = await becomes(sagaId, SagaStatus.COMPLETED);
  expect(ended?.steps).toMatchObject([{ name: "count", done: true, resultJson: '{"value":1}' }]);
  expect(await actsOn(sagaId)).toMatchObject([
    { service: "counters", operator: "user_operator", action: "RetrySaga", target: sagaId, why: "" },
  ]);
});

test("a parked saga's step is settled by hand: its end and the announcement are one transaction", async () => {
  const [done, undone] = [await park("order_done"), await park("order_undone")];
  const stepDone = { ...named, sagaId: done, resolution: SagaResolution.STEP_DONE, why };
  const elsewhere = sagas.resolveSaga({ ...stepDone, step: "weigh" }, key());
  await expect(elsewhere).rejects.toMatchObject({ reason: "SAGA_NOT_PARKED", code: 9 });
  const settled = await sagas.resolveSaga({ ...stepDone, step: "count" }, key());
  expect(settled.saga?.status).toBe(SagaStatus.COMPLETED);
  await sagas.resolveSaga({ ...named, sagaId: undone, resolution: SagaResolution.COMPENSATE, why }, key());
  await becomes(undone, SagaStatus.COMPENSATED);
  const again = sagas.resolveSaga(stepDone, key());
  await expect(again).rejects.toMatchObject({ reason: "SAGA_NOT_PARKED", code: 9 });
  expect(await actsOn(done)).toMatchObject([{ action: "ResolveSaga", operator: "user_operator", why }]);
});

test("a saga of a version that nobody serves stays as it is, shows why, and cannot be settled blindly", async () => {
  const [running, parked] = [newId("saga"), newId("saga")];
  await service.db.query(insertSaga, [running, 7, "order_strange", "running", null]);
  await service.db.query(insertSaga, [parked, 7, "order_stranger", "parked", parking]);
  const { saga } = await sagas.getSaga({ ...named, sagaId: running });
  expect(saga).toMatchObject({
    status: SagaStatus.RUNNING,
    definitionVersion: 7,
    reason: "VERSION_UNKNOWN",
    step: "",
    steps: [],
  });
  const retry = sagas.retrySaga({ ...named, sagaId: parked }, key());
  await expect(retry).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  const unserved = async () => (await fetch(`${service.metricsUrl}/metrics`)).text();
  await eventually(async () => expect(await unserved()).toContain('sagas_unserved{saga="settle"} 1'), 8_000);
});

test("sagas are listed newest first, page by page, each once", async () => {
  const ids = [await park("order_paged"), await park("order_paged"), await park("order_paged")];
  const page = (pageToken: string) =>
    sagas.listSagas({ ...named, subjectId: "order_paged", pageSize: 2, pageToken });
  const first = await page("");
  const second = await page(first.nextPageToken);
  expect([...first.sagas, ...second.sagas].map(({ sagaId }) => sagaId)).toEqual(ids.toReversed());
  expect(second.nextPageToken).toBe("");
});

test("a token without the operators' scope is refused", async () => {
  const customer = service.client(SagaService, { scope: "ops:dead-letters" });
  await expect(customer.listSagas(named)).rejects.toMatchObject({ reason: "SCOPE_MISSING" });
});
