import type { Evidence } from "./evidence.ts";

/** Something that holds after every run, whatever broke meanwhile. */
export interface Invariant {
  readonly name: string;
  /** In words, for the report. */
  readonly title: string;
  /** Its number in the reliability notes' list. */
  readonly number: number;
  /** Each way in which the evidence contradicts it; a reason where there is nothing to judge it by. */
  check(evidence: Evidence): readonly string[] | { readonly notApplicable: string };
}

/** Rows by a key. */
export const by = <Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key): Map<Key, Row[]> =>
  Map.groupBy(rows, keyOf);

/** How often each key occurs. */
export function countBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(keyOf(row), (counts.get(keyOf(row)) ?? 0) + 1);
  return counts;
}

/** The sum of a number over rows. */
export const sum = <Row>(rows: readonly Row[], of: (row: Row) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);

/** The sum of an amount over rows. */
export const sumMinor = <Row>(rows: readonly Row[], of: (row: Row) => bigint): bigint =>
  rows.reduce((total, row) => total + of(row), 0n);

/** The faults of many rows, those without one left out. */
export const faultsOf = <Row>(
  rows: Iterable<Row>,
  judge: (row: Row) => string | undefined | false | readonly string[],
): string[] =>
  [...rows].flatMap((row) => {
    const fault = judge(row);
    return fault === undefined || fault === false ? [] : fault;
  });
