// How things are written for people.

import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { Table } from "console-table-printer";

/** A table's columns, left to right: heading and how a row's cell reads. */
export type Columns<T> = Readonly<Record<string, (row: T) => string | number | bigint>>;

/** Draws rows as a table; says `nothing` where there are none. */
export function drawTable<T>(columns: Columns<T>, rows: readonly T[], nothing: string): string {
  if (rows.length === 0) return nothing;
  const names = Object.keys(columns);
  const table = new Table({
    columns: names.map((name) => ({ name, alignment: "left" })),
    shouldDisableColors: true,
  });
  for (const row of rows) {
    table.addRow(
      Object.fromEntries(names.map((name) => [name, oneLine(String(columns[name]?.(row) ?? ""))])),
    );
  }
  return table.render();
}

/** Writes facts below one another; empty ones are left out. */
export function drawFacts(facts: Readonly<Record<string, string | number | bigint>>): string {
  const shown = Object.entries(facts)
    .map(([name, value]) => [name, printable(String(value))] as const)
    .filter(([, value]) => value !== "");
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

/** `2026-11-21T13:12:07Z`; empty for no time. */
export function drawTime(time: Timestamp | undefined): string {
  return time
    ? timestampDate(time)
        .toISOString()
        .replace(/\.\d+Z$/, "Z")
    : "";
}

/** JSON over several lines; what is none, as it is. */
export function drawJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

const MAX_CELL = 60;

/** What comes from the shop's data must not steer the terminal, nor break a line. */
const printable = (text: string) => text.replaceAll(/\p{Cc}+/gu, " ");

function oneLine(text: string): string {
  const line = printable(text);
  return line.length > MAX_CELL ? `${line.slice(0, MAX_CELL - 1)}…` : line;
}
