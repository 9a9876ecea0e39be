/**
 * PostgreSQL: a pool, transactions with an explicit `tx`, named statements.
 *
 * Guarantees: `transaction` resolves only when the server has committed; nothing it did is kept when it
 * rejects, except that an error at COMMIT itself leaves the outcome unknown (repeat by key). Statements that are issued
 * without awaiting in between travel in one write. The process survives terminated backends and a server restart.
 */
import pg from "pg";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { limitAnswers, sendBatch } from "./batch.ts";
import { type BulkQueryable, gatherByTurn } from "./bulk.ts";
import { isTransient, toServiceErrorFromDatabase } from "./database-error.ts";
import { createGroupCommit } from "./group-commit.ts";
import type { Queryable, Statement } from "./statement.ts";
import { createTransaction, type Transaction } from "./transaction.ts";

export type { BulkQueryable, BulkStatement } from "./bulk.ts";
export { isLockTimeout, isUniqueViolation } from "./database-error.ts";
export type { Deferred } from "./deferred.ts";
export { type Queryable, type Statement, statement } from "./statement.ts";
export type { Transaction } from "./transaction.ts";

/**
 * A service's database. `queryEach` gathers by the turn of the event loop, over all that happens in the process: for reads by keys
 * that have been checked, since what one item cannot be asked for nobody learns.
 */
export interface Database extends BulkQueryable {
  /**
   * Runs `work` in one transaction. Deadlocks and serialization failures are repeated, twice at most, so `work` must
   * not have effects outside `tx`.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a transaction that it may share with others (group commit), and alone where that fails; so `work` must not
   * have effects outside `tx`. The row locks of one transaction do not keep its works from one another: each statement must
   * decide and change in one go, and works of one `key` never share.
   */
  sharedTransaction<T>(key: string, work: (tx: Transaction) => Promise<T>): Promise<T>;
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
  /** For sessions, where `url` leads to a pooler that lends connections for a transaction only; `url` by default. */
  readonly sessionUrl?: string | undefined;
  readonly log: Logger;
  /** Connections at most; 16 by default: two cores' worth of Postgres has no use for more per service. */
  readonly maxConnections?: number;
  /** A statement that takes longer is cancelled by the server; 5,000 ms by default. */
  readonly statementTimeoutMs?: number;
  /** A connection that answers nothing for longer is given up; 10,000 ms by default: longer than a statement may take. */
  readonly answerTimeoutMs?: number;
}

/** Default of `lock_timeout`, in milliseconds: below the statement timeout, so that a wait for a lock is told apart. */
export const lockTimeoutMs = 4_000;
/** The works of a shared transaction wait for a lock together, so not for long; whoever needs it then waits alone. */
const sharedLockTimeoutMs = 100;
const idleInTransactionTimeoutMs = 10_000;
const connectTimeoutMs = 3_000;
const defaultAnswerTimeoutMs = 10_000;
const maxAttempts = 3;

/**
 * One plan per statement and connection. Planning anew for each call costs more than running; but a plan made while a table was
 * empty stays in use when it has grown, so an index is used wherever there is one.
 */
const planOptions = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off";

/** Opens a database. Connections are made when needed, so the server may be away at this moment. */
export function createDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options, { max: options.maxConnections ?? 16 });
  const shared = openPool(options, { max: 1, lock_timeout: sharedLockTimeoutMs });
  const run = (from: pg.Pool) => {
    const of = () => ({ database, shared: from === shared });
    return <T>(work: (tx: Transaction) => Promise<T>) =>
      runTransaction(() => attemptTransaction(from, of(), work));
  };
  const query: Queryable["query"] = (what, values) => pooledQuery(pool, what, values);
  const database: Database = {
    query,
    queryEach: gatherByTurn(query),
    transaction: run(pool),
    sharedTransaction: createGroupCommit(run(shared), run(pool)),
    session: () => openSession({ ...options, url: options.sessionUrl ?? options.url }),
    close: async () => void (await Promise.all([pool.end(), shared.end()])),
  };
  return database;
}

function clientOptions({ url, statementTimeoutMs = 5_000 }: DatabaseOptions): pg.PoolConfig {
  return {
    connectionString: url,
    statement_timeout: statementTimeoutMs,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
    options: planOptions,
  };
}

/** The process outlives its connections, whenever they break: while one is made, lent or idle. */
function openPool(options: DatabaseOptions, own: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ ...clientOptions(options), ...own });
  // pg hangs the whole client on the error, keys included.
  pool.on("error", ({ message }) => options.log.warn({ why: message }, "an idle database connection broke"));
  // The pool itself listens only while a connection is idle; whoever has borrowed it hears of the break by its statement.
  pool.on("connect", (client) => {
    client.on("error", () => {});
    limitAnswers(client, options.answerTimeoutMs ?? defaultAnswerTimeoutMs);
  });
  return pool;
}

async function pooledQuery<Row extends object>(
  pool: pg.Pool,
  what: Statement,
  values: readonly unknown[] = [],
) {
  try {
    return await onClient(pool, (client) => querySingle<Row>(client, what, values));
  } catch (error) {
    throw toServiceErrorFromDatabase(error);
  }
}

async function querySingle<Row extends object>(
  client: pg.ClientBase,
  what: Statement,
  values: readonly unknown[],
) {
  const [rows] = await sendBatch(client, [{ statement: what, values }]);
  return (rows ?? []) as Row[];
}

/** Lends a connection. `work` may hand back what makes it unusable by `spoil`. */
async function onClient<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, spoil: (broken: Error | undefined) => void) => Promise<T>,
) {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    return await work(client, (error) => {
      broken = error;
    });
  } finally {
    client.release(broken);
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
  of: { readonly database: Database; readonly shared: boolean },
  work: (tx: Transaction) => Promise<T>,
) {
  const { result, tx } = await onClient(pool, async (client, spoil) => {
    const tx = createTransaction(client, of);
    try {
      const result = await work(tx);
      await tx.commit();
      return { result, tx };
    } catch (error) {
      spoil(await tx.rollback());
      throw error;
    }
  });
  for (const callback of tx.afterCommitCallbacks) callback();
  return result;
}

async function openSession(options: DatabaseOptions): Promise<Session> {
  const client = new pg.Client(clientOptions(options));
  const lost = new AbortController();
  client.on("error", () => lost.abort());
  client.on("end", () => lost.abort());
  limitAnswers(client, options.answerTimeoutMs ?? defaultAnswerTimeoutMs);
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
        return await querySingle<Row>(client, what, values);
      } catch (error) {
        throw toServiceErrorFromDatabase(error);
      }
    },
    close: () => client.end().catch(() => {}),
  };
}

const sessionLost = (): ServiceError =>
  serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "The database connection was lost.");
