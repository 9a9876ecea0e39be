// What clients did and what they were told, in a file whose every line is on disk before the next step: the one witness that
// no fault of the shop can touch.

import { readFileSync } from "node:fs";
import { Ledger } from "../../sandboxes/ledger.ts";

/** One line. Times are in milliseconds from the beginning of the load. */
export interface HistoryEntry {
  readonly atMs: number;
  readonly phase: "invoke" | "ok" | "fail" | "unknown";
  readonly action: "place" | "read" | "cancel" | "refund" | "return";
  /** Entries of one intention share a number, over all its attempts. */
  readonly op: number;
  readonly customer: string;
  /** The Idempotency-Key of what changes something. */
  readonly key?: string;
  /** An attempt under the key of another request, which has to be refused. */
  readonly altered?: boolean;
  /** The HTTP status; 0 where no answer came. */
  readonly status?: number;
  readonly reason?: string;
  readonly orderId?: string;
  /** The order's status as it was shown. */
  readonly shown?: string;
  /** The answer's body, where it is a success that has to be repeated to the letter. */
  readonly answer?: string;
  /** What was asked for: of an order its lines, of others their body. */
  readonly asked?: unknown;
}

/** A history being written. */
export interface History {
  /** Resolves when the entry is on disk. */
  write(entry: HistoryEntry): Promise<void>;
  close(): Promise<void>;
}

/** Opens the file for appending. */
export async function openHistory(path: string): Promise<History> {
  const ledger = await Ledger.open(path, () => undefined);
  return {
    write: async (entry) => void (await ledger.append(JSON.stringify(entry))),
    close: () => ledger.close(),
  };
}

/** Reads a whole history. */
export function readHistory(path: string): HistoryEntry[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as HistoryEntry);
}
