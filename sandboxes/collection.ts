/** What a collection can hold; `created` is in seconds since 1970 and never falls from one record to the next. */
export type Listed = { id: string; created: number };

/** Which page to show: newest first, `created` within both bounds (seconds, inclusive). */
export type PageQuery<T> = {
  limit: number;
  createdFrom?: number;
  createdTo?: number;
  /** Show what is older than this record. */
  startingAfter?: T | undefined;
  /** Show what is just newer than this record. */
  endingBefore?: T | undefined;
  matches?: (record: T) => boolean;
};

/** One page, newest first. */
export type Page<T> = { data: T[]; hasMore: boolean };

/** Records by id and in order of creation. Holds everything: it grows with the ledger that feeds it. */
export class Collection<T extends Listed> {
  readonly #byId = new Map<string, T>();
  readonly #order: T["id"][] = [];
  #lastCreated = 0;

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  /** Adds a record or replaces the one with its id. */
  put(record: T): void {
    if (!this.#byId.has(record.id)) {
      this.#order.push(record.id);
      this.#lastCreated = record.created;
    }
    this.#byId.set(record.id, record);
  }

  /** The second to stamp a new record with; a clock that steps back does not put records out of order. */
  nextCreated(): number {
    return Math.max(this.#lastCreated, Math.floor(Date.now() / 1000));
  }

  /** Finds a page; the work is in proportion to the records looked at, not to all of them, unless `matches` is rare. */
  page(query: PageQuery<T>): Page<T> {
    let low = this.#firstAt(query.createdFrom ?? 0);
    let high = query.createdTo === undefined ? this.#order.length : this.#firstAt(query.createdTo + 1);
    if (query.startingAfter) high = Math.min(high, this.#positionOf(query.startingAfter));
    if (!query.endingBefore) return this.#collect(high - 1, low, -1, query);
    low = Math.max(low, this.#positionOf(query.endingBefore) + 1);
    const page = this.#collect(low, high - 1, 1, query);
    return { ...page, data: page.data.reverse() };
  }

  #collect(from: number, to: number, step: 1 | -1, { limit, matches }: PageQuery<T>): Page<T> {
    const data: T[] = [];
    for (let at = from; step > 0 ? at <= to : at >= to; at += step) {
      const record = this.#at(at);
      if (matches && !matches(record)) continue;
      if (data.length === limit) return { data, hasMore: true };
      data.push(record);
    }
    return { data, hasMore: false };
  }

  #at(position: number): T {
    return this.#byId.get(this.#order[position] as string) as T;
  }

  #firstAt(created: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).created < created) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #positionOf(record: T): number {
    return this.#order.indexOf(record.id, this.#firstAt(record.created));
  }
}
