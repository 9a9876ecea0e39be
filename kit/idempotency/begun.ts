import type { Database } from "#kit/postgres/postgres.ts";

/** The latest commands that this process has begun to decide, and when that has ended. */
const begun = new WeakMap<Database, Map<string, Promise<unknown>>>();
/** More than are under way at any time; of one that is forgotten the database still knows. */
const maxBegun = 4_096;

/** Begins to decide a command, and notes that for those who repeat it. */
export function begin<T>(db: Database, command: string, decide: () => Promise<T>): Promise<T> {
  const notes = begun.get(db) ?? new Map<string, Promise<unknown>>();
  begun.set(db, notes);
  const deciding = decide();
  notes.set(
    command,
    deciding.catch(() => {}),
  );
  const [oldest] = notes.keys();
  if (notes.size > maxBegun && oldest !== undefined) notes.delete(oldest);
  return deciding;
}

/** When this process has decided the command, or has failed to; undefined where it has not begun to. Never rejects. */
export const begunHere = (db: Database, command: string): Promise<unknown> | undefined =>
  begun.get(db)?.get(command);
