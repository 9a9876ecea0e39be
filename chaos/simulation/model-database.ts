// A database as far as the shop can tell: transactions that happen wholly or not at all, one after another, and statements by
// name. What the statements mean is in statements/.
import pg from "pg";
import type { BulkStatement, Database, Deferred, Statement, Transaction } from "#kit/postgres/postgres.ts";
import type { Process, World } from "./world.ts";

/** Writes of one transaction, so that they can be taken back. */
export class Journal {
  readonly #undo: (() => void)[] = [];

  /** Sets a row. Rows are never changed in place. */
  put<Key, Row>(table: Map<Key, Row>, key: Key, row: Row): void {
    const before = table.get(key);
    const existed = table.has(key);
    this.#undo.push(() => void (existed ? table.set(key, before as Row) : table.delete(key)));
    table.set(key, row);
  }

  append<Row>(table: Row[], row: Row): void {
    this.#undo.push(() => void table.pop());
    table.push(row);
  }

  rollBack(): void {
    for (const undo of this.#undo.reverse()) undo();
  }
}

/** A statement's values. Each is what the statement's SQL takes at its place: whoever reads it gives it that type. */
export type Values = readonly [never, never, never, never, never, never, never, never];

/** What a statement does to the tables, and the rows it answers. */
export type StatementModel = (values: Values, journal: Journal) => readonly object[];

/** Statements by name. */
export type StatementModels = Readonly<Record<string, StatementModel>>;

/** One service's tables: they outlive its processes. */
export interface ModelStore {
  readonly models: StatementModels;
  /** Called after each commit. */
  onCommit(): void;
}

/** A process's connections to its store. */
export function openModelDatabase(world: World, process: Process, store: ModelStore): Database {
  const run = async <T>(shared: boolean, work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const tx = () => new ModelTransaction(store, database, shared);
    const { answer, callbacks } = await world.effect(process, () => runTransaction(tx(), work));
    for (const callback of callbacks) callback();
    return answer;
  };
  const query = (what: Statement, values: readonly unknown[] = []) =>
    world.effect(process, async () => [...runStatement(store, what, values, new Journal())]);
  const database = {
    query,
    queryEach: <Item>(bulk: BulkStatement<Item>, item: Item) => query(bulk, valuesOfOne(bulk, item)),
    transaction: <T>(work: (tx: Transaction) => Promise<T>) => run(false, work),
    // Works that share a transaction in production run one after another here: what one statement does, the next one sees.
    sharedTransaction: <T>(_key: string, work: (tx: Transaction) => Promise<T>) => run(true, work),
  };
  return database as unknown as Database;
}

async function runTransaction<T>(tx: ModelTransaction, work: (tx: Transaction) => Promise<T>) {
  try {
    const answer = await work(tx);
    tx.commit();
    return { answer, callbacks: tx.callbacks };
  } catch (error) {
    tx.journal.rollBack();
    throw error;
  }
}

class ModelTransaction implements Transaction {
  readonly database: object;
  readonly shared: boolean;
  readonly journal = new Journal();
  readonly callbacks: (() => void)[] = [];
  readonly #store: ModelStore;
  readonly #builders: (() => Deferred | undefined)[] = [];
  #failure: unknown;

  constructor(store: ModelStore, database: object, shared: boolean) {
    this.#store = store;
    this.database = database;
    this.shared = shared;
  }

  async query<Row extends object>(what: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    return [...this.#run(what, values)] as Row[];
  }

  /** Items that travel as one statement in production are asked for one by one here. */
  async queryEach<Row extends object, Item>(bulk: BulkStatement<Item>, item: Item): Promise<Row[]> {
    return await this.query<Row>(bulk, valuesOfOne(bulk, item));
  }

  beforeCommit(build: () => Deferred | undefined) {
    this.#builders.push(build);
  }

  afterCommit(callback: () => void) {
    this.callbacks.push(callback);
  }

  commit() {
    for (const build of this.#builders) {
      const deferred = build();
      if (deferred) this.#run(deferred.statement, deferred.values);
    }
    if (this.#failure) throw this.#failure;
    this.#store.onCommit();
  }

  /** After a failed statement the server refuses to commit, whatever the caller makes of the failure. */
  #run(what: Statement, values: readonly unknown[]) {
    try {
      return runStatement(this.#store, what, values, this.journal);
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }
}

const valuesOfOne = <Item>({ columns }: BulkStatement<Item>, item: Item) =>
  columns.map((column) => column(item));

function runStatement({ models }: ModelStore, what: Statement, values: readonly unknown[], journal: Journal) {
  const model = models[what.name];
  if (!model) throw new Error(`chaos/simulation/statements does not know the statement ${what.name}`);
  return model(values as Values, journal);
}

/** The error of a unique constraint, as the server reports it. */
export const uniqueViolation = (constraint: string) =>
  Object.assign(new pg.DatabaseError("duplicate key", 0, "error"), { code: "23505", constraint });
