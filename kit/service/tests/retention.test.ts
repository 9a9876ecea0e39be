import { afterAll, beforeAll, expect, test } from "vitest";
import { keepRetention } from "#kit/service/retention.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

let parts: Parts;

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());

test("answers are forgotten after 24 hours, sagas 30 days after their end, and nothing else is", async () => {
  await parts.asOwner(
    `insert into kit.idempotency (principal, method, key, outcome, created_at)
     select 'orders', 'Reserve', 'old ' || n, 'cancelled', now() - interval '24 hours 1 minute' from generate_series(1, 2100) n
     union all select 'orders', 'Reserve', 'young', 'cancelled', now() - interval '23 hours';
     insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input, step_started_at,
       next_wakeup_at, created_at, updated_at)
     select 'saga_' || status || days, 'checkout', 1, 'order', 'corr', status, '{}', now(), now(), now(),
            now() - days * interval '1 day'
       from unnest(array['running', 'completed', 'compensated']) status, unnest(array[29, 31]) days`,
  );
  const stopping = new AbortController();
  const keeping = keepRetention(parts, stopping.signal);
  const left = `select key as name from kit.idempotency union all select saga_id from kit.sagas order by name`;
  await eventually(async () =>
    expect((await parts.asOwner(left)).map(({ name }) => name)).toEqual([
      "saga_compensated29",
      "saga_completed29",
      "saga_running29",
      "saga_running31",
      "young",
    ]),
  );
  stopping.abort();
  await keeping;
});
