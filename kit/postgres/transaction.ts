import type { PoolClient } from "pg";
import { type Deferred, mergeDeferred } from "./deferred.ts";
import type { Queryable, Statement } from "./statement.ts";

/** An open transaction, handed to local code only. */
export interface Transaction extends Queryable {
  /** The database it belongs to: upper layers hang what they know about a database on this. */
  readonly database: object;
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
  readonly committed: boolean;
  readonly afterCommitCallbacks: readonly (() => void)[];
  /** @throws the first error of a deferred statement, or of COMMIT; also when the server answers COMMIT with ROLLBACK. */
  commit(): Promise<void>;
  /** Ends the transaction; resolves to an error when the connection is no longer usable. */
  rollback(): Promise<Error | undefined>;
}

/** Opens a transaction on a connection: BEGIN leaves in the same write as the first statement. */
export function createTransaction(client: PoolClient, database: object): TransactionInternals {
  return new PipelinedTransaction(client, database);
}

class PipelinedTransaction implements TransactionInternals {
  readonly database: object;
  readonly #client: PoolClient;
  readonly #builders: (() => Deferred | undefined)[] = [];
  readonly #callbacks: (() => void)[] = [];
  #begun: Promise<unknown> | undefined;
  #committed = false;
  #ended = false;

  constructor(client: PoolClient, database: object) {
    this.database = database;
    this.#client = client;
  }

  get committed() {
    return this.#committed;
  }

  get afterCommitCallbacks() {
    return this.#callbacks;
  }

  async query<Row extends object>(statement: Statement, values: readonly unknown[] = []): Promise<Row[]> {
    // A statement after the end would run, and stay, outside any transaction.
    if (this.#ended) throw new Error(`the transaction has ended; ${statement.name} came too late`);
    return (await this.#send<Row>(statement, values)).rows;
  }

  beforeCommit(build: () => Deferred | undefined) {
    this.#builders.push(build);
  }

  afterCommit(callback: () => void) {
    this.#callbacks.push(callback);
  }

  async commit() {
    const merged = mergeDeferred(this.#builders.flatMap((build) => build() ?? []));
    const sent = merged ? [this.#send(merged.statement, merged.values)] : [];
    this.#ended = true;
    if (this.#begun) await this.#commitBegun(this.#begun, sent);
    this.#committed = true;
  }

  async #commitBegun(begun: Promise<unknown>, sent: readonly Promise<unknown>[]) {
    gatherWrites(this.#client);
    const committed = this.#client.query("commit");
    const outcomes = await Promise.allSettled([begun, ...sent, committed]);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    // After a failed statement the server answers COMMIT with ROLLBACK, and pg resolves.
    if ((await committed).command !== "COMMIT") throw new Error("the server rolled back at COMMIT");
  }

  async rollback() {
    this.#ended = true;
    if (!this.#begun) return undefined;
    try {
      await this.#client.query("rollback");
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** With the first statement: work that turns out to have nothing to write costs the server nothing. */
  #begin() {
    if (this.#begun) return;
    this.#begun = this.#client.query("begin");
    this.#begun.catch(() => {});
  }

  #send<Row extends object>(statement: Statement, values: readonly unknown[]) {
    gatherWrites(this.#client);
    this.#begin();
    return this.#client.query<Row>({
      name: statement.name,
      text: statement.text,
      values: values as unknown[],
    });
  }
}

const gathering = new WeakSet<object>();

/** Holds back what this tick writes to the connection, so that it leaves in one system call. */
function gatherWrites(client: PoolClient) {
  const { stream } = (client as unknown as { connection: { stream: NodeJS.WritableStream & CorkableStream } })
    .connection;
  if (gathering.has(stream)) return;
  gathering.add(stream);
  stream.cork();
  process.nextTick(() => {
    gathering.delete(stream);
    stream.uncork();
  });
}

interface CorkableStream {
  cork(): void;
  uncork(): void;
}
