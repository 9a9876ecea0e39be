import type { PoolClient } from "pg";
import { sendBatch } from "./batch.ts";
import { type BulkQueryable, type BulkStatement, type Gathered, gather } from "./bulk.ts";
import { type Deferred, mergeDeferred } from "./deferred.ts";
import { type Statement, statement } from "./statement.ts";

/**
 * An open transaction, handed to local code only. `queryEach` gathers by the tick, what this work asks for and those that share
 * the transaction; it may run before statements that were issued earlier in the tick.
 */
export interface Transaction extends BulkQueryable {
  /** The database it belongs to: upper layers hang what they know about a database on this. */
  readonly database: object;
  /** Whether other works share it: then its settings are not one work's to change. */
  readonly shared: boolean;
  /**
   * Registers an INSERT to be built when the work is done. All of them travel as one statement, in the same write as COMMIT, so
   * they must not depend on one another. Return undefined for none.
   */
  beforeCommit(build: () => Deferred | undefined): void;
  /** Registers a callback for after the server has confirmed COMMIT. It must not throw. */
  afterCommit(callback: () => void): void;
}

/** What the pool needs of a transaction. */
export interface TransactionInternals extends Transaction {
  readonly afterCommitCallbacks: readonly (() => void)[];
  /** @throws the first error of any statement, also where the work did not mind it, or of COMMIT. */
  commit(): Promise<void>;
  /** Ends the transaction; resolves to an error when the connection is no longer usable. */
  rollback(): Promise<Error | undefined>;
}

/** Opens a transaction on a connection. Nothing is sent before its first statement. */
export function createTransaction(
  client: PoolClient,
  of: { readonly database: object; readonly shared: boolean },
): TransactionInternals {
  return new BatchedTransaction(client, of.database, of.shared);
}

const begin = statement("begin", "begin");
const commit = statement("commit", "commit");
const rollback = statement("rollback", "rollback");

interface Waiting {
  readonly statement: Statement;
  values(): readonly unknown[];
  resolve(rows: object[]): void;
  reject(error: unknown): void;
}

/** What is issued in one tick, or while a batch is on its way, leaves as one batch. */
class BatchedTransaction implements TransactionInternals {
  readonly database: object;
  readonly shared: boolean;
  readonly #client: PoolClient;
  readonly #builders: (() => Deferred | undefined)[] = [];
  readonly #callbacks: (() => void)[] = [];
  #waiting: Waiting[] = [];
  readonly #gathered = new Map<object, Gathered<unknown>>();
  #sending: Promise<void> | undefined;
  #begun = false;
  #failure: unknown;
  #ended = false;

  constructor(client: PoolClient, database: object, shared: boolean) {
    this.database = database;
    this.shared = shared;
    this.#client = client;
  }

  get afterCommitCallbacks() {
    return this.#callbacks;
  }

  async query<Row extends object>(what: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    this.#refuseAfterEnd(what);
    return await new Promise((resolve, reject) => {
      this.#push({ statement: what, values: () => values, resolve: resolve as Waiting["resolve"], reject });
    });
  }

  async queryEach<Row extends object, Item>(bulk: BulkStatement<Item>, item: Item): Promise<Row[]> {
    this.#refuseAfterEnd(bulk);
    const rows = await new Promise<object[]>((resolve, reject) => {
      if (this.#gathered.get(bulk)?.add(item, resolve, reject)) return;
      const gathered = gather(bulk);
      gathered.add(item, resolve, reject);
      this.#gathered.set(bulk, gathered as Gathered<unknown>);
      this.#push({ statement: bulk, ...gathered });
    });
    return rows as Row[];
  }

  #push(waiting: Waiting) {
    this.#waiting.push(waiting);
    this.#sending ??= this.#send();
  }

  /** A statement after the end would run, and stay, outside any transaction. */
  #refuseAfterEnd({ name }: Statement) {
    if (this.#ended) throw new Error(`the transaction has ended; ${name} came too late`);
  }

  beforeCommit(build: () => Deferred | undefined) {
    this.#builders.push(build);
  }

  afterCommit(callback: () => void) {
    this.#callbacks.push(callback);
  }

  async commit() {
    const merged = mergeDeferred(this.#builders.flatMap((build) => build() ?? []));
    this.#ended = true;
    await this.#sending;
    if (this.#failure) throw this.#failure;
    const requests = merged ? [merged] : [];
    // A batch outside BEGIN and COMMIT is a transaction by itself.
    if (this.#begun) requests.push({ statement: commit, values: [] });
    if (requests.length > 0) await sendBatch(this.#client, requests);
  }

  async rollback() {
    this.#ended = true;
    await this.#sending;
    if (!this.#begun) return undefined;
    try {
      await sendBatch(this.#client, [{ statement: rollback, values: [] }]);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** Never rejects: each statement learns its own fate, and COMMIT the first failure. */
  async #send() {
    await new Promise<void>((resolve) => process.nextTick(resolve));
    while (this.#waiting.length > 0) await this.#sendWaiting();
    this.#sending = undefined;
  }

  async #sendWaiting() {
    const sent = this.#waiting;
    this.#waiting = [];
    this.#gathered.clear();
    const requests = sent.map((one) => ({ statement: one.statement, values: one.values() }));
    const opening = this.#begun ? [] : [{ statement: begin, values: [] }];
    this.#begun = true;
    try {
      const results = await sendBatch(this.#client, [...opening, ...requests]);
      for (const [index, one] of sent.entries()) one.resolve(results[index + opening.length] ?? []);
    } catch (error) {
      this.#failure ??= error;
      for (const one of sent) one.reject(error);
    }
    // What the results lead to is issued before the next batch leaves.
    await new Promise<void>((resolve) => process.nextTick(resolve));
  }
}
