import type { Database } from "#kit/postgres/postgres.ts";

/** The latest commands that this process has begun to decide, and when that has ended. */
const begun = new WeakMap<Database, Map<string, Promise<void>>>();
/** More than are under way at any time; of one that is forgotten the database still knows. */
const maxBegun = 4_096;

/** Begins to decide a command, and notes that for those who repeat it. */
export function begin<T>(db: Database, command: string, decide: () => Promise<T>): Promise<T> {
  const notes = begun.get(db) ?? new Map<string, Promise<void>>();
  begun.set(db, notes);
  const deciding = decide();
  notes.set(command, deciding.then(ignore, ignore));
  const [oldest] = notes.keys();
  if (notes.size > maxBegun && oldest !== undefined) notes.delete(oldest);
  return deciding;
}

/** A note outlives its command: it must not keep the answer. */
const ignore = () => {};

/** When this process has decided the command, or has failed to; undefined where it has not begun to. Never rejects. */
export const begunHere = (db: Database, command: string): Promise<void> | undefined =>
  begun.get(db)?.get(command);
