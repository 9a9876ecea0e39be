import type { Deadline } from "#kit/time/time.ts";

/** What a run covers and how it judges. */
export interface Scope {
  /** Records made since then; undefined for all there are. */
  readonly since: Date | undefined;
  /** Only records that have not changed for this long are judged: what is under way may disagree. */
  readonly graceMs: number;
  /** The run ends by then, whether it is through or not. */
  readonly deadline: Deadline;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
}

/** Whether a record agrees with its other side. */
export interface Verdict {
  /** What was compared: an order's, payment's or SKU's id. */
  readonly subjectId: string;
  /** What was expected and what is there; undefined where the two agree, or where there is nothing any more. */
  readonly discrepancy: string | undefined;
}

/** A comparison of records that must agree, as data. */
export interface Reconciliation {
  /** `payments-with-processor`: two sides, or what is looked for. */
  readonly name: string;
  /** Pause between two runs in the whole service, in milliseconds. */
  readonly everyMs: number;
  /** Ids of what is to be compared, in pages of at most a few hundred. */
  subjects(scope: Scope): AsyncIterable<readonly string[]>;
  /**
   * Reads both sides of some records and compares them. Records that are not at rest are left out of the answer: the next run
   * judges them. Called a second time for those that disagree, since the two sides are not read at the same moment.
   */
  judge(subjectIds: readonly string[], scope: Scope): Promise<readonly Verdict[]>;
}

/** Reads ids page by page: `read` answers at most `limit` ids behind `after`, in order. */
export async function* idPages(
  first: string,
  read: (after: string, limit: number) => Promise<readonly string[]>,
  limit = 100,
): AsyncGenerator<readonly string[]> {
  let after = first;
  for (;;) {
    const ids = await read(after, limit);
    if (ids.length > 0) yield ids;
    if (ids.length < limit) return;
    after = ids.at(-1) ?? after;
  }
}

const maxAtOnce = 8;

/** Asks the other side about each, eight at a time, so that a comparison leaves it to those who buy. */
export async function inFew<Item>(items: readonly Item[], ask: (item: Item) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += maxAtOnce) {
    await Promise.all(items.slice(at, at + maxAtOnce).map(ask));
  }
}
