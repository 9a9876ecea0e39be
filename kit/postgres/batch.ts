import type { Socket } from "node:net";
import pg from "pg";
import { MessageWriter } from "./messages.ts";
import type { Statement } from "./statement.ts";

/** A statement with its values. */
export interface Request {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

/**
 * Sends statements, and returns the rows of each. They leave in one write that ends with a single Sync, where pg's own queries
 * end with one each: the server then answers them all with one write too. They succeed or fail together, and outside BEGIN and
 * COMMIT they are one transaction (PostgreSQL 18, 54.2.4).
 */
export function sendBatch(client: pg.ClientBase, requests: readonly Request[]): Promise<object[][]> {
  const timeoutMs = answerTimeouts.get(client);
  return new Promise((resolve, reject) => client.query(new Batch(requests, timeoutMs, resolve, reject)));
}

const answerTimeouts = new WeakMap<object, number>();

/** A connection that does not answer a batch for so long is given up: its other end may be gone without a word. */
export function limitAnswers(client: pg.ClientBase, timeoutMs: number): void {
  answerTimeouts.set(client, timeoutMs);
}

interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/** What is known of a statement that a connection has prepared; undefined columns are still to be described. */
interface Prepared {
  columns: readonly Column[] | undefined;
}

const preparedOn = new WeakMap<object, Map<string, Prepared>>();
/** One for the process: a batch is written in one go. */
const writer = new MessageWriter();

/** pg calls these methods as the server's messages arrive. */
class Batch implements pg.Submittable {
  readonly #requests: readonly Request[];
  readonly #timeoutMs: number | undefined;
  readonly #resolve: (results: object[][]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #prepared: Prepared[] = [];
  readonly #results: object[][] = [];
  #known = new Map<string, Prepared>();
  #rows: object[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(
    requests: readonly Request[],
    timeoutMs: number | undefined,
    resolve: (results: object[][]) => void,
    reject: (error: unknown) => void,
  ) {
    this.#requests = requests;
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: unknown) {
    const { stream } = connection as { readonly stream: Socket };
    this.#known = preparedOn.get(stream) ?? new Map();
    preparedOn.set(stream, this.#known);
    try {
      for (const request of this.#requests) this.#write(request);
      writer.sync();
      stream.write(writer.take());
      if (this.#timeoutMs) this.#timer = setTimeout(giveUp, this.#timeoutMs, stream).unref();
      return null;
    } catch (error) {
      writer.clear();
      // pg hands it on to handleError.
      return error;
    }
  }

  #write({ statement, values }: Request) {
    const known = this.#known.get(statement.name);
    const prepared = known ?? { columns: undefined };
    this.#prepared.push(prepared);
    if (!known) {
      this.#known.set(statement.name, prepared);
      // After an error it may be open whether the server has it.
      writer.prepare(statement);
    }
    writer.bind(statement, values);
    if (!prepared.columns) writer.describe();
    writer.execute();
  }

  handleRowDescription({ fields }: { fields: readonly pg.FieldDef[] }) {
    const prepared = this.#prepared[this.#results.length];
    if (!prepared) return;
    prepared.columns = fields.map(({ name, dataTypeID }) => ({ name, parse: parserOf(dataTypeID) }));
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }) {
    const columns = this.#prepared[this.#results.length]?.columns ?? [];
    const row: Record<string, unknown> = {};
    for (let index = 0; index < columns.length; index += 1) {
      const { name, parse } = columns[index] as Column;
      const text = fields[index] ?? null;
      row[name] = text === null ? null : parse(text);
    }
    this.#rows.push(row);
  }

  handleCommandComplete() {
    const prepared = this.#prepared[this.#results.length];
    // No description came: the statement has no columns.
    if (prepared) prepared.columns ??= [];
    this.#results.push(this.#rows);
    this.#rows = [];
  }

  /** Not before: the server commits at the Sync, after it has reported the statements as complete. */
  handleReadyForQuery() {
    clearTimeout(this.#timer);
    this.#resolve(this.#results);
  }

  handleError(error: unknown) {
    clearTimeout(this.#timer);
    // What was not described may not have been prepared either.
    for (const { statement } of this.#requests) {
      if (!this.#known.get(statement.name)?.columns) this.#known.delete(statement.name);
    }
    this.#reject(error);
  }
}

const giveUp = (stream: Socket) =>
  stream.destroy(new Error("Connection terminated: it did not answer in time"));

const int8 = 20;

const parserOf = (oid: number): ((text: string) => unknown) =>
  oid === int8 ? BigInt : pg.types.getTypeParser(oid, "text");
