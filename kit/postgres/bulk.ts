import type { Queryable, Statement } from "./statement.ts";

/** A statement that does for many items in one go what each caller asks of it for one. */
export interface BulkStatement<Item> extends Statement {
  /** What tells an item's rows from the others': each row carries it in its column `key`. */
  readonly keyOf: (item: Item) => string;
  /** The statement's parameters: each is an array with a value of every item. */
  readonly columns: readonly ((item: Item) => unknown)[];
}

/** Anything that gathers what is asked of a statement for many. */
export interface BulkQueryable extends Queryable {
  /**
   * Asks something for one item of a statement that does it for many: items that are asked for together are one statement. Returns
   * the rows whose `key` is the item's.
   */
  queryEach<Row extends object, Item>(bulk: BulkStatement<Item>, item: Item): Promise<Row[]>;
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

/** Gathers what is asked for in one turn of the event loop, by whomever, and sends it as one statement. */
export function gatherByTurn(send: Queryable["query"]): BulkQueryable["queryEach"] {
  const open = new Map<object, Gathered<unknown>>();
  const begin = <Item>(bulk: BulkStatement<Item>): Gathered<Item> => {
    const gathered = gather(bulk);
    open.set(bulk, gathered as Gathered<unknown>);
    setImmediate(() => {
      if (open.get(bulk) === gathered) open.delete(bulk);
      send(bulk, gathered.values()).then(gathered.resolve, gathered.reject);
    });
    return gathered;
  };
  return async <Row extends object, Item>(bulk: BulkStatement<Item>, item: Item) => {
    const rows = await new Promise<object[]>((resolve, reject) => {
      if (!open.get(bulk)?.add(item, resolve, reject)) begin(bulk).add(item, resolve, reject);
    });
    return rows as Row[];
  };
}
