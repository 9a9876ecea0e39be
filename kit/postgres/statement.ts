/** A statement with a name, under which each connection prepares it once. Names are unique within a process. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Anything that runs a statement: a database (each statement by itself) or a transaction. */
export interface Queryable {
  /**
   * Runs a statement and returns its rows. `int8` comes back as bigint, `timestamptz` as Date, `jsonb` parsed.
   * @throws ServiceError UNAVAILABLE when the server is away, DEADLINE_EXCEEDED after the statement timeout;
   *   other faults of the server as pg's DatabaseError.
   */
  query<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}

/** Names a statement. */
export const statement = (name: string, text: string): Statement => ({ name, text });
