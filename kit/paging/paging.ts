// Cursor paging: opaque tokens that carry the sort key of a page's last item, bound to the list they belong to. A token
// that was made for another list, or by hand, is refused before it reaches a statement.
import { createHash } from "node:crypto";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** Items on a page where the caller names no number. */
export const defaultPageSize = 20;

/** Which list a page token belongs to: the method and whatever filters the list. */
export type PageScope = readonly string[];

/** Writes the sort key of a page's last item as an opaque token, bound to its list. */
export function toPageToken(scope: PageScope, key: readonly string[]): string {
  return Buffer.from(JSON.stringify([hashOf(scope), ...key])).toString("base64url");
}

/**
 * Reads the sort key back; undefined for the empty token of a first page. `shape` says how each part of the key is
 * spelled, so that nothing a caller made up reaches a statement.
 * @throws ServiceError PAGE_TOKEN_INVALID when the token is of another list, or nobody's.
 */
export function parsePageToken(
  scope: PageScope,
  token: string,
  shape: readonly RegExp[],
): string[] | undefined {
  if (token === "") return undefined;
  const [hash, ...key] = parseStrings(token);
  const wellFormed = key.length === shape.length && shape.every((part, index) => part.test(key[index] ?? ""));
  if (hash !== hashOf(scope) || !wellFormed) throw pageTokenInvalid();
  return key;
}

/** Splits what was read with one row more than the page holds. */
export function cutPage<T>(
  rows: readonly T[],
  pageSize: number,
): { items: readonly T[]; last: T | undefined } {
  const items = rows.slice(0, pageSize);
  return { items, last: rows.length > pageSize ? items.at(-1) : undefined };
}

function parseStrings(token: string): string[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    return Array.isArray(parsed) && parsed.every((part) => typeof part === "string") ? parsed : [];
  } catch {
    return [];
  }
}

const hashOf = (scope: PageScope) =>
  createHash("sha256").update(JSON.stringify(scope)).digest("base64url").slice(0, 16);

const pageTokenInvalid = () =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.PAGE_TOKEN_INVALID,
    "The page token was not made by this method, or for other filters.",
  );
