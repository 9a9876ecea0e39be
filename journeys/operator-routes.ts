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

const consumer = "inventory_souk_orders_v1";

/** Leaves a dead letter with inventory: of an event that took effect before, so that replaying it is harmless. */
export async function setAside(shop: Shop): Promise<string> {
  const [deadLetterId, eventId] = [newId("letter"), crypto.randomUUID()];
  const type = "souk.orders.v1.OrderConfirmed";
  const headers = {
    "ce-id": eventId,
    "ce-type": type,
    "ce-subject": "order_1",
    "ce-time": "2026-01-02T03:04:05Z",
    "souk-aggregate-version": "2",
  };
  await asInventory(
    shop,
    `insert into kit.inbox (consumer, event_id) values ('${consumer}', '${eventId}');
     insert into kit.dead_letters (dead_letter_id, consumer, event_id, digest, stream, subject, event_type, aggregate_id,
       aggregate_version, reason, message, deliveries, headers, payload, created_at)
     values ('${deadLetterId}', '${consumer}', '${eventId}', '', 'souk_orders_v1', '${type}', '${type}', 'order_1', 2,
       'INTERNAL', 'Broken.', 1, '${JSON.stringify(headers)}', '', now())`,
  );
  return deadLetterId;
}

/** Leaves an event with inventory that waits for another. */
export async function leaveEarly(shop: Shop): Promise<string> {
  const eventId = crypto.randomUUID();
  await asInventory(
    shop,
    `insert into kit.parked_events (consumer, event_id, aggregate_id, aggregate_version, previous_version, stream, subject,
       headers, payload, parked_at, next_attempt_at)
     values ('${consumer}', '${eventId}', '${eventId}', 9, 8, 's', 's', '{}', '', now(), now())`,
  );
  return eventId;
}

const asInventory = ({ processes }: Shop, sql: string) =>
  runSql(processes.databases.inventory?.ownerUrl ?? "", sql);

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
  "POST /v1/ops/{service}/dead-letters/{dead_letter_id}:replay": {
    success: ok(async (scene) => {
      const deadLetterId = await setAside(scene.shop);
      return asStaff(scene, `/v1/ops/inventory/dead-letters/${deadLetterId}:replay`, {});
    }),
    refusal: refused(404, "DEAD_LETTER_NOT_FOUND", (scene) =>
      asStaff(scene, `/v1/ops/orders/dead-letters/letter_${unknownId}:replay`, {}),
    ),
  },
  "POST /v1/ops/{service}/dead-letters:replay": {
    success: ok((scene) => asStaff(scene, "/v1/ops/catalog/dead-letters:replay", {})),
    refusal: refused(404, "SERVICE_UNKNOWN", (scene) =>
      asStaff(scene, "/v1/ops/laundry/dead-letters:replay", {}),
    ),
  },
  "POST /v1/ops/{service}/dead-letters/{dead_letter_id}:discard": {
    success: ok(async (scene) => {
      const deadLetterId = await setAside(scene.shop);
      return asStaff(scene, `/v1/ops/inventory/dead-letters/${deadLetterId}:discard`, { why: "A test." });
    }),
    refusal: refused(400, "VALIDATION_FAILED", (scene) =>
      asStaff(scene, `/v1/ops/inventory/dead-letters/${scene.deadLetterId}:discard`, {}),
    ),
  },
  "GET /v1/ops/{service}/parked-events": {
    success: ok(({ staff }) => ({ path: "/v1/ops/inventory/parked-events", token: staff.token })),
    refusal: refused(403, "SCOPE_MISSING", ({ buyer }) => ({
      path: "/v1/ops/inventory/parked-events",
      token: buyer.token,
    })),
  },
  "POST /v1/ops/{service}/parked-events/{event_id}:skip-missing": {
    success: ok(async (scene) => {
      const eventId = await leaveEarly(scene.shop);
      const body = { consumer, why: "A test." };
      return asStaff(scene, `/v1/ops/inventory/parked-events/${eventId}:skip-missing`, body);
    }),
    refusal: refused(404, "PARKED_EVENT_NOT_FOUND", (scene) =>
      asStaff(scene, `/v1/ops/inventory/parked-events/${crypto.randomUUID()}:skip-missing`, {
        consumer,
        why: "A test.",
      }),
    ),
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
