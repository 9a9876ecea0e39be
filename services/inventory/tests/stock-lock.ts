import { expect } from "vitest";
import { type Session, statement } from "#kit/postgres/postgres.ts";
import { eventually, type TestService } from "#kit/testing/testing.ts";

const begin = statement("test-begin", "begin");
const lockStock = statement("test-lock-stock", "select from stock where sku = $1 for update nowait");
const rollback = statement("test-rollback", "rollback");
const selectWaiting = statement(
  "test-select-waiting",
  `select count(*)::int as waiting from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and position($1 in query) > 0`,
);

/** Until `during` is over, whoever wants the SKU's stock waits for it; fails at once when somebody has it locked already. */
export async function whileStockIsLocked(service: TestService, sku: string, during: () => Promise<unknown>) {
  const session: Session = await service.db.session();
  try {
    await session.query(begin);
    await session.query(lockStock, [sku]);
    await during();
    await session.query(rollback);
  } finally {
    await session.close();
  }
}

/** Resolves when one connection waits for a lock with a statement that holds these words. */
export const someoneWaits = (service: TestService, words: string) =>
  eventually(async () => {
    const [row] = await service.db.query<{ waiting: number }>(selectWaiting, [words]);
    expect(row?.waiting).toBe(1);
  });
