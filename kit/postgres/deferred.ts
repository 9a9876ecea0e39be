import { type Statement, statement } from "./statement.ts";

/** An INSERT that is sent together with COMMIT. */
export interface Deferred {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

const merged = new Map<string, Statement>();

/**
 * Makes one statement of several INSERTs: each statement costs the server a round of parsing, planning and answering that is
 * dearer than the row. Every combination of names is prepared once per connection; a service has few.
 */
export function mergeDeferred(deferred: readonly Deferred[]): Deferred | undefined {
  const [first] = deferred;
  if (deferred.length <= 1) return first;
  const name = deferred.map((one) => one.statement.name).join("+");
  const known = merged.get(name) ?? statement(name, mergeTexts(deferred));
  merged.set(name, known);
  return { statement: known, values: deferred.flatMap((one) => one.values) };
}

/**
 * Data-modifying CTEs run to completion whether or not they are read (PostgreSQL 18, 7.8.4). The last is one of them too: it may
 * itself begin with `with`, which only a CTE may contain.
 */
function mergeTexts(deferred: readonly Deferred[]): string {
  let offset = 0;
  const texts = deferred.map(({ statement: { text }, values }) => {
    const before = offset;
    offset += values.length;
    return text.replaceAll(/\$(\d+)/g, (_, number) => `$${Number(number) + before}`);
  });
  return `with ${texts.map((text, index) => `deferred_${index} as (${text})`).join(", ")} select`;
}
