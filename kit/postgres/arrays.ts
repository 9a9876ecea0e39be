import type { Statement } from "./statement.ts";

/** How the elements of an array travel in their binary form (PostgreSQL 18, array_recv). */
export interface ElementKind {
  /** The element's type, which the server checks. */
  readonly oid: number;
  /** Written before each element: the version of jsonb's binary form. */
  readonly prefix: number | undefined;
  /** An element as bytes or text; null for NULL. */
  readonly encode: (item: unknown) => Uint8Array | string | null;
}

const toText = (item: unknown) => (item === null || item === undefined ? null : String(item));
const toBytes = (item: unknown) => (item === null || item === undefined ? null : (item as Uint8Array));
const toJson = (item: unknown) =>
  item === null || item === undefined || typeof item === "string" ? (item ?? null) : JSON.stringify(item);

const kinds: Readonly<Record<string, ElementKind>> = {
  text: { oid: 25, prefix: undefined, encode: toText },
  bytea: { oid: 17, prefix: undefined, encode: toBytes },
  jsonb: { oid: 3802, prefix: 1, encode: toJson },
};

const known = new WeakMap<Statement, readonly (ElementKind | undefined)[]>();

/**
 * Which parameters of a statement are arrays whose elements can be long: as text each of their quotes and backslashes is escaped
 * here and unescaped there, and each byte is two letters. The statement says so itself, by a cast: `$1::text[]`.
 */
export const arrayKindsOf = (statement: Statement): readonly (ElementKind | undefined)[] =>
  known.getOrInsertComputed(statement, ({ text }) => {
    const found: (ElementKind | undefined)[] = [];
    for (const [, number, type] of text.matchAll(/\$(\d+)::(text|bytea|jsonb)\[\]/g))
      found[Number(number) - 1] = kinds[type ?? ""];
    return found;
  });
