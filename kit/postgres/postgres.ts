/**
 * PostgreSQL: a pool, transactions with an explicit `tx`, named statements.
 *
 * Guarantees: `transaction` resolves only when the server has answered COMMIT with COMMIT; nothing it did is kept when it
 * rejects, except that an error at COMMIT itself leaves the outcome unknown (repeat by key). Statements that are issued
 * without awaiting in between travel in one write. The process survives terminated backends and a server restart.
 */
import pg from "pg";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { isTransient, toServiceErrorFromDatabase } from "./database-error.ts";
import type { Queryable, Statement } from "./statement.ts";
import { createTransaction, type Transaction, type TransactionInternals } from "./transaction.ts";

export { isLockTimeout, isUniqueViolation } from "./database-error.ts";
export type { Deferred } from "./deferred.ts";
export { type Queryable, type Statement, statement } from "./statement.ts";
export type { Transaction } from "./transaction.ts";

/** A service's database. */
export interface Database extends Queryable {
  /**
   * Runs `work` in one transaction. Deadlocks and serialization failures are repeated, twice at most, so `work` must
   * not have effects outside `tx`.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** A connection of its own, outside the pool, for session state such as advisory locks. */
  session(): Promise<Session>;
  /** Waits for what is running and closes all connections. */
  close(): Promise<void>;
}

/** A connection held by one owner. `lost` aborts when the server ends it. */
export interface Session extends Queryable {
  readonly lost: AbortSignal;
  close(): Promise<void>;
}

/** How a database is reached and limited. */
export interface DatabaseOptions {
  readonly url: string;
  readonly log: Logger;
  /** Connections at most; 16 by default: two cores' worth of Postgres has no use for more per service. */
  readonly maxConnections?: number;
  /** A statement that takes longer is cancelled by the server; 5,000 ms by default. */
  readonly statementTimeoutMs?: number;
}

/** Default of `lock_timeout`, in milliseconds: below the statement timeout, so that a wait for a lock is told apart. */
export const lockTimeoutMs = 4_000;
const idleInTransactionTimeoutMs = 10_000;
const connectTimeoutMs = 3_000;
const maxAttempts = 3;

/**
 * One plan per statement and connection. Planning anew for each call costs more than running; but a plan made while a table was
 * empty stays in use when it has grown, so an index is used wherever there is one.
 */
const planOptions = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/** Opens a database. Connections are made when needed, so the server may be away at this moment. */
export function createDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({ ...clientOptions(options), max: options.maxConnections ?? 16 });
  pool.on("error", (error) => options.log.warn({ err: error }, "an idle database connection broke"));
  const database: Database = {
    query: (what, values) => pooledQuery(pool, what, values),
    transaction: (work) => runTransaction(() => attemptTransaction(pool, database, work)),
    session: () => openSession(options),
    close: () => pool.end(),
  };
  return database;
}

function clientOptions({
  url,
  statementTimeoutMs = 5_000,
}: DatabaseOptions): pg.PoolConfig & { pipeline: boolean } {
  return {
    connectionString: url,
    pipeline: true,
    types: { getTypeParser },
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
    options: planOptions,
  };
}

const int8 = 20;

function getTypeParser(oid: number, format?: "text" | "binary") {
  return oid === int8 ? BigInt : pg.types.getTypeParser(oid, format as "text");
}

async function pooledQuery<Row extends object>(
  pool: pg.Pool,
  what: Statement,
  values: readonly unknown[] = [],
) {
  try {
    return (await pool.query<Row>({ name: what.name, text: what.text, values: values as unknown[] })).rows;
  } catch (error) {
    throw toServiceErrorFromDatabase(error);
  }
}

async function runTransaction<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt === maxAttempts || !isTransient(error)) throw toServiceErrorFromDatabase(error);
    }
  }
}

async function attemptTransaction<T>(
  pool: pg.Pool,
  database: Database,
  work: (tx: Transaction) => Promise<T>,
) {
  const client = await pool.connect();
  // The pool listens only while a connection is idle; without this a break in mid-transaction would end the process.
  const onError = () => {};
  client.on("error", onError);
  const tx = createTransaction(client, database);
  let broken: Error | undefined;
  try {
    const result = await work(tx);
    await tx.commit();
    return result;
  } catch (error) {
    broken = await tx.rollback();
    throw error;
  } finally {
    client.off("error", onError);
    client.release(broken);
    runAfterCommit(tx);
  }
}

function runAfterCommit(tx: TransactionInternals) {
  if (!tx.committed) return;
  for (const callback of tx.afterCommitCallbacks) callback();
}

async function openSession(options: DatabaseOptions): Promise<Session> {
  const client = new pg.Client(clientOptions(options));
  const lost = new AbortController();
  client.on("error", () => lost.abort());
  client.on("end", () => lost.abort());
  try {
    await client.connect();
  } catch (error) {
    throw toServiceErrorFromDatabase(error);
  }
  return {
    lost: lost.signal,
    async query<Row extends object>(what: Statement, values: readonly unknown[] = []) {
      if (lost.signal.aborted) throw sessionLost();
      try {
        return (await client.query<Row>({ name: what.name, text: what.text, values: values as unknown[] }))
          .rows;
      } catch (error) {
        throw toServiceErrorFromDatabase(error);
      }
    },
    close: () => client.end().catch(() => {}),
  };
}

const sessionLost = (): ServiceError =>
  serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "The database connection was lost.");
