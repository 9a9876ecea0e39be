import assert from "node:assert/strict";
import { type Queryable, statement } from "#kit/postgres/postgres.ts";

const selectAnnounced = statement(
  "test-select-announced",
  `select headers->>'ce-type' as type, (headers->>'souk-aggregate-version')::bigint as version,
          (headers->>'souk-previous-version')::bigint as previous
     from kit.outbox where headers->>'ce-subject' = $1 order by xid, seq`,
);

interface Announced {
  readonly type: string;
  readonly version: bigint;
  readonly previous: bigint | null;
}

/**
 * Short names of the events announced about an aggregate, oldest first.
 * @throws AssertionError where one does not claim to come behind the one before it, and the first behind none.
 */
export async function announcedInOrder(db: Queryable, aggregateId: string): Promise<string[]> {
  const events = await db.query<Announced>(selectAnnounced, [aggregateId]);
  const inOrder = events.toSorted((one, other) => Number(one.version - other.version));
  assert.deepEqual(
    inOrder.map(({ previous }) => previous),
    [0n, ...inOrder.map(({ version }) => version)].slice(0, inOrder.length),
  );
  return events.map(({ type }) => type.split(".").at(-1) ?? "");
}
