import type { Statement } from "./statement.ts";

/** A statement that does for many items in one go what each caller asks of it for one. */
export interface BulkStatement<Item> extends Statement {
  /** What tells an item's rows from the others': each row carries it in its column `key`. */
  readonly keyOf: (item: Item) => string;
  /** The statement's parameters: each is an array with a value of every item. */
  readonly columns: readonly ((item: Item) => unknown)[];
}

/** Items that wait to be sent as one statement. */
export interface Gathered<Item> {
  /** False where there is an item of this key already: two of one key cannot be in one statement. */
  add(item: Item, resolve: (rows: object[]) => void, reject: (error: unknown) => void): boolean;
  values(): unknown[];
  resolve(rows: readonly object[]): void;
  reject(error: unknown): void;
}

interface Asked<Item> {
  readonly item: Item;
  readonly rows: object[];
  resolve(rows: object[]): void;
  reject(error: unknown): void;
}

/** Gathers items of a bulk statement. */
export function gather<Item>(bulk: BulkStatement<Item>): Gathered<Item> {
  const asked = new Map<string, Asked<Item>>();
  return {
    add(item, resolve, reject) {
      const key = bulk.keyOf(item);
      if (asked.has(key)) return false;
      asked.set(key, { item, rows: [], resolve, reject });
      return true;
    },
    values: () => bulk.columns.map((column) => Array.from(asked.values(), ({ item }) => column(item))),
    resolve(rows) {
      for (const row of rows) asked.get((row as { key: string }).key)?.rows.push(row);
      for (const one of asked.values()) one.resolve(one.rows);
    },
    reject(error) {
      for (const one of asked.values()) one.reject(error);
    },
  };
}
