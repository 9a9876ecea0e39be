// Shows what processes write into their log files on the terminal, each line behind its process' name. The processes
// write the files themselves: nothing is lost when the supervisor dies, and a slow terminal slows nobody down.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import { styleText } from "node:util";

const POLL_MS = 150;
const CHUNK_BYTES = 65_536;
const NAME_WIDTH = 14;
const COLORS = ["cyan", "magenta", "yellow", "blue", "green", "white"] as const;
const NOT_REPEATED = new Set(["level", "time", "msg", "pid", "hostname", "service", "name"]);

/** Prints new lines of log files. */
export class LogView {
  readonly #print: (line: string) => void;
  readonly #files: FollowedFile[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(print: (line: string) => void) {
    this.#print = print;
    this.#timer = setInterval(() => this.#showNewLines(), POLL_MS);
    this.#timer.unref();
  }

  /** Follows a file from its present end; it may not exist yet. */
  follow(name: string, path: string): void {
    const color = COLORS[this.#files.length % COLORS.length] ?? "white";
    const prefix = styleText(color, `${name.padEnd(NAME_WIDTH)}|`, {
      validateStream: true,
      stream: process.stdout,
    });
    this.#files.push({ path, prefix, position: sizeOf(path) });
  }

  /** Shows what is left and stops. */
  close(): void {
    clearInterval(this.#timer);
    this.#showNewLines();
  }

  #showNewLines(): void {
    for (const file of this.#files) {
      for (const line of readNewLines(file)) this.#print(`${file.prefix} ${readable(line)}`);
    }
  }
}

type FollowedFile = { path: string; prefix: string; position: number };

function readNewLines(file: FollowedFile): string[] {
  const size = sizeOf(file.path);
  if (size <= file.position) return [];
  const chunk = readChunk(file.path, file.position, Math.min(CHUNK_BYTES, size - file.position));
  // Half a line waits for its other half; only one that is longer than the chunk is cut.
  const end = chunk.lastIndexOf(0x0a) + 1 || (chunk.length === CHUNK_BYTES ? chunk.length : 0);
  file.position += end;
  return end === 0 ? [] : chunk.toString("utf8", 0, end).trimEnd().split("\n");
}

function readChunk(path: string, position: number, length: number): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
  } finally {
    closeSync(descriptor);
  }
}

/** A JSON line becomes `12:34:56 info  message key=value`; anything else stays as it is. */
export function readable(line: string): string {
  const record = parseRecord(line);
  if (!record) return line;
  const { time, level, msg } = record;
  const clock =
    typeof time === "string" || typeof time === "number" ? new Date(time).toISOString().slice(11, 19) : "";
  const rest = Object.entries(record).filter(([key]) => !NOT_REPEATED.has(key));
  const fields = rest.map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [clock, String(level ?? "").padEnd(5), msg, ...fields].filter((part) => part !== "").join(" ");
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const record = JSON.parse(line);
    return "msg" in record ? record : undefined;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
