import { closeSync, openSync, readSync, statSync } from "node:fs";
import { logPathOf } from "./processes.ts";

const maxBytes = 20_000;
const maxLines = 12;
const maxLineLength = 400;

/** Remembers where the logs of processes end now; what it returns tells what they have complained about since. */
export function followLogs(folder: string, names: readonly string[]): () => string {
  const starts = names.map((name) => ({ name, from: sizeOf(logPathOf(folder, name)) }));
  return () => starts.map(({ name, from }) => complaintsOf(name, logPathOf(folder, name), from)).join("");
}

function complaintsOf(name: string, path: string, from: number): string {
  const lines = readFrom(path, from).split("\n").filter(isComplaint).slice(-maxLines);
  return lines.map((line) => `${name} | ${line.slice(0, maxLineLength)}\n`).join("");
}

/** What is no log line at all, such as a stack on standard error, is a complaint. */
const isComplaint = (line: string) => line !== "" && !/^\{"level":"(trace|debug|info)"/.test(line);

function readFrom(path: string, from: number): string {
  const start = Math.max(from, sizeOf(path) - maxBytes);
  const bytes = Buffer.alloc(Math.max(0, sizeOf(path) - start));
  if (bytes.length === 0) return "";
  const file = openSync(path, "r");
  try {
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, start));
  } finally {
    closeSync(file);
  }
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
