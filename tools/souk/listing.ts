// Lists: pages are read until there are enough entries.

import type { DescEnum } from "@bufbuild/protobuf";
import type { GenEnum } from "@bufbuild/protobuf/codegenv2";
import { type Flag, type Input, optional, WrongUse } from "./command.ts";

const MAX_PAGE = 100;
const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 10_000;

/** The flag that says how many entries of each service are shown. */
export const limitFlag: Readonly<Record<"limit", Flag>> = {
  limit: {
    type: "string",
    value: "N",
    help: `at most so many of each service, 1 to ${MAX_LIMIT}; ${DEFAULT_LIMIT} where unset`,
  },
};

/** How many entries were asked for. */
export function readLimit(input: Input): number {
  const text = optional(input, "limit") ?? String(DEFAULT_LIMIT);
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new WrongUse(`--limit is a whole number from 1 to ${MAX_LIMIT}, not "${text}"`);
}

/** The words of an enum, as flags and tables spell them: `parked`. */
export function wordsOf(schema: DescEnum): string[] {
  return schema.values.filter(({ number }) => number !== 0).map(toWord);
}

/** The word for an enum's value. */
export function wordFor(schema: DescEnum, number: number): string {
  const value = schema.value[number];
  return value ? toWord(value) : String(number);
}

/** The value that a flag's word stands for; 0, unspecified, where the flag is not given. */
export function readWord<Value extends number>(input: Input, name: string, schema: GenEnum<Value>): Value {
  const text = optional(input, name);
  if (text === undefined) return 0 as Value;
  const value = schema.values.find((one) => one.number !== 0 && toWord(one) === text);
  // The generated values of an enum are those of its descriptor.
  if (value) return value.number as Value;
  throw new WrongUse(`--${name} is one of ${wordsOf(schema).join(", ")}, not "${text}"`);
}

const toWord = ({ localName }: DescEnum["values"][number]) => localName.toLowerCase().replaceAll("_", "-");

/** Where a page ends and what asks for the next. */
export type Page<T> = { entries: readonly T[]; nextPageToken: string };

/** Reads pages until there are `limit` entries, or no more pages. */
export async function readPages<T>(
  limit: number,
  read: (page: { pageSize: number; pageToken: string }) => Promise<Page<T>>,
): Promise<T[]> {
  const found: T[] = [];
  let pageToken = "";
  do {
    const page = await read({ pageSize: Math.min(MAX_PAGE, limit - found.length), pageToken });
    found.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && found.length < limit);
  return found;
}
