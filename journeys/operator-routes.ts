// The operators' routes, and what there is for an operator to look at.

import { newId } from "#kit/ids/ids.ts";
import { runSql } from "#kit/testing/tests/parts.ts";
import { asStaff, ok, type RouteCases, refused, unknownId } from "./route-case.ts";
import type { Shop } from "./shop.ts";

/** Leaves a parked saga with orders, about an order that never was. */
export async function park({ processes }: Shop): Promise<string> {
  const sagaId = newId("saga");
  const columns = `saga_id, definition, definition_version, subject_id, correlation_id, status, input, parking,
    step_started_at, next_wakeup_at, created_at, updated_at`;
  const values = `'${sagaId}', 'checkout', 1, '${newId("order")}', 'c', 'parked', '{"lines": []}', '{}', now(), now(), now(), now()`;
  const { ownerUrl } = processes.databases.orders ?? { ownerUrl: "" };
  await runSql(ownerUrl, `insert into kit.sagas (${columns}) values (${values})`);
  return sagaId;
}

/** Leaves a dead letter with inventory. */
export async function setAside({ processes }: Shop): Promise<string> {
  const deadLetterId = newId("letter");
  const columns = `dead_letter_id, consumer, event_id, payload_digest, stream, subject, event_type, aggregate_id,
    aggregate_version, reason, message, deliveries, headers, payload, created_at`;
  const values = `'${deadLetterId}', 'inventory_souk_orders_v1', '', '', '', '', '', '', 0, 'R', 'M', 1, '{}', '', now()`;
  const { ownerUrl } = processes.databases.inventory ?? { ownerUrl: "" };
  await runSql(ownerUrl, `insert into kit.dead_letters (${columns}) values (${values})`);
  return deadLetterId;
}

const compensate = { resolution: "SAGA_RESOLUTION_COMPENSATE", why: "A test." };

/** Cases of the operators' routes. */
export const operatorCases: RouteCases = {
  "GET /v1/ops/{service}/dead-letters": {
    success: ok(({ staff }) => ({ path: "/v1/ops/inventory/dead-letters", token: staff.token })),
    refusal: refused(404, "SERVICE_UNKNOWN", ({ staff }) => ({
      path: "/v1/ops/laundry/dead-letters",
      token: staff.token,
    })),
  },
  "GET /v1/ops/{service}/dead-letters/{dead_letter_id}": {
    success: ok(({ staff, deadLetterId }) => ({
      path: `/v1/ops/inventory/dead-letters/${deadLetterId}`,
      token: staff.token,
    })),
    refusal: refused(404, "DEAD_LETTER_NOT_FOUND", ({ staff }) => ({
      path: `/v1/ops/orders/dead-letters/letter_${unknownId}`,
      token: staff.token,
    })),
  },
  "POST /v1/ops/{service}/reconciliations/{reconciliation}:run": {
    success: ok((scene) => asStaff(scene, "/v1/ops/orders/reconciliations/stuck-sagas:run", {})),
    refusal: refused(404, "RECONCILIATION_NOT_FOUND", (scene) =>
      asStaff(scene, "/v1/ops/orders/reconciliations/tea-leaves:run", {}),
    ),
  },
  "GET /v1/ops/{service}/findings": {
    success: ok(({ staff }) => ({ path: "/v1/ops/inventory/findings", token: staff.token })),
    refusal: refused(400, "PAGE_TOKEN_INVALID", ({ staff }) => ({
      path: "/v1/ops/inventory/findings?page_token=made-up",
      token: staff.token,
    })),
  },
  "POST /v1/ops/{service}/outbox:republish": {
    success: ok((scene) =>
      asStaff(scene, "/v1/ops/orders/outbox:republish", {
        since: new Date(Date.now() - 60_000).toISOString(),
      }),
    ),
    refusal: refused(422, "REPUBLISH_TOO_OLD", (scene) =>
      asStaff(scene, "/v1/ops/orders/outbox:republish", { since: "2020-01-01T00:00:00Z" }),
    ),
  },
  "GET /v1/ops/{service}/sagas": {
    success: ok(({ staff }) => ({
      path: "/v1/ops/orders/sagas?status=SAGA_STATUS_PARKED",
      token: staff.token,
    })),
    refusal: refused(403, "SCOPE_MISSING", ({ buyer }) => ({
      path: "/v1/ops/orders/sagas",
      token: buyer.token,
    })),
  },
  "GET /v1/ops/{service}/sagas/{saga_id}": {
    success: ok(async ({ staff, park }) => ({
      path: `/v1/ops/orders/sagas/${await park()}`,
      token: staff.token,
    })),
    refusal: refused(404, "SAGA_NOT_FOUND", ({ staff }) => ({
      path: `/v1/ops/orders/sagas/saga_${unknownId}`,
      token: staff.token,
    })),
  },
  "POST /v1/ops/{service}/sagas/{saga_id}:retry": {
    success: ok(async (scene) => asStaff(scene, `/v1/ops/orders/sagas/${await scene.park()}:retry`, {})),
    refusal: refused(404, "SAGA_NOT_FOUND", (scene) =>
      asStaff(scene, `/v1/ops/orders/sagas/saga_${unknownId}:retry`, {}),
    ),
  },
  "POST /v1/ops/{service}/sagas/{saga_id}:resolve": {
    success: ok(async (scene) =>
      asStaff(scene, `/v1/ops/orders/sagas/${await scene.park()}:resolve`, compensate),
    ),
    refusal: refused(404, "SAGA_NOT_FOUND", (scene) =>
      asStaff(scene, `/v1/ops/orders/sagas/saga_${unknownId}:resolve`, compensate),
    ),
  },
};
