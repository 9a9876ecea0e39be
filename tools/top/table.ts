import { Table } from "console-table-printer";
import type { Row } from "./rows.ts";

const MIB = 1024 * 1024;

const COLUMNS = [
  { name: "process", title: "Process", alignment: "left" },
  { name: "pid", title: "PID" },
  { name: "cpu", title: "CPU %" },
  { name: "memory", title: "Memory MiB" },
  { name: "requests", title: "Requests/s" },
  { name: "errors", title: "Errors/s" },
  { name: "p99", title: "p99 ms" },
  { name: "outbox", title: "Outbox" },
  { name: "lag", title: "Consumer lag" },
  { name: "sagas", title: "Sagas" },
];

/** Draws the rows as a table; red where something fails. */
export function drawTable(rows: readonly Row[], colors: boolean): string {
  const table = new Table({
    columns: COLUMNS.map((column) => ({ alignment: "right", ...column })),
    shouldDisableColors: !colors,
  });
  for (const row of rows) table.addRow(toCells(row), colorOf(row));
  return table.render();
}

function toCells(row: Row): Record<string, string> {
  const { pid, outboxPending, consumerPending, sagasInFlight } = row;
  return {
    process: row.name,
    pid: format(pid, 0),
    cpu: format(row.cpuPercent, 1),
    memory: format(row.memoryBytes === undefined ? undefined : row.memoryBytes / MIB, 0),
    requests: format(row.requestsPerSecond, 1),
    errors: format(row.errorsPerSecond, 1),
    p99: format(row.p99Ms, 1),
    outbox: format(outboxPending, 0),
    lag: format(consumerPending, 0),
    sagas: format(sagasInFlight, 0),
  };
}

function format(value: number | undefined, digits: number): string {
  return value === undefined ? "" : value.toFixed(digits);
}

function colorOf({ name, errorsPerSecond = 0 }: Row): { color?: string } {
  if (errorsPerSecond > 0) return { color: "red" };
  return name === "all" ? { color: "white_bold" } : {};
}
