// What the kit's statements do: remembered answers and the outbox. Each follows the SQL of its name in kit/*/statements.ts.
import { type Journal, type StatementModels, uniqueViolation, type Values } from "../model-database.ts";

/** A remembered answer, or a tombstone. */
interface AnswerRow {
  readonly outcome: string;
  readonly fingerprint: Uint8Array | null;
  readonly response: Uint8Array | null;
}

/** An announced event. */
export interface OutboxRow {
  readonly eventId: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** The kit's tables in one service's database. */
export interface ChassisTables {
  readonly answers: Map<string, AnswerRow>;
  readonly outbox: OutboxRow[];
  readonly inbox: Map<string, true>;
}

export const createChassisTables = (): ChassisTables => ({
  answers: new Map(),
  outbox: [],
  inbox: new Map(),
});

const keyOf = (principal: string, method: string, key: string) => `${principal} ${method} ${key}`;

/** The rows that `unnest` makes of columns. */
function toRows(columns: Values): Values[] {
  const [first = []] = columns as readonly (readonly unknown[])[];
  return first.map(
    (_, index) => columns.map((column: readonly unknown[]) => column[index]) as unknown as Values,
  );
}

/** Models of the kit's statements. */
export function chassisStatements(tables: ChassisTables): StatementModels {
  const { answers, outbox, inbox } = tables;
  const insertAnswer = (
    [principal, method, key, fingerprint, outcome, response]: Values,
    journal: Journal,
  ) => {
    const id = keyOf(principal, method, key);
    if (answers.has(id)) throw uniqueViolation("idempotency_pkey");
    journal.put(answers, id, { fingerprint, outcome, response });
    return [];
  };
  return {
    "kit-insert-answer": insertAnswer,
    "kit-insert-answers": (columns, journal) => {
      for (const values of toRows(columns)) insertAnswer(values, journal);
      return [];
    },
    "kit-select-answer": ([principal, method, key]) => {
      const row = answers.get(keyOf(principal, method, key));
      return row ? [row] : [];
    },
    "kit-lay-tombstone": ([principal, method, key], journal) => {
      const id = keyOf(principal, method, key);
      const row = answers.get(id) ?? { outcome: "cancelled", fingerprint: null, response: null };
      journal.put(answers, id, row);
      return [{ outcome: row.outcome }];
    },
    "kit-limit-lock-wait": () => [],
    "kit-insert-events": (columns, journal) => {
      for (const [eventId, subject, headers, payload] of toRows(columns))
        journal.append(outbox, { eventId, subject, headers: JSON.parse(headers), payload });
      return [];
    },
    "simulated-insert-inbox": ([consumer, eventId], journal) => {
      const id = `${consumer} ${eventId}`;
      if (inbox.has(id)) return [];
      journal.put(inbox, id, true);
      return [{ eventId }];
    },
  };
}
