// An append-only JSONL file. An entry whose `append` resolved is on disk (written and fsynced) and survives
// SIGKILL and power loss; entries keep the order of their `append` calls. All entries that wait while a sync is
// under way share the next one (group commit), and a busy ledger syncs at most every 4 ms, so that its cost has a
// ceiling (a sync costs about 0.15 ms of CPU); an entry after a pause is synced at once.
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { log } from "./log.ts";

const SYNC_INTERVAL_MS = 4;
const NEWLINE = 0x0a;
const SCAN_CHUNK_BYTES = 1 << 20;
const LOOKUP_CHUNK_BYTES = 4096;

/** One line of a ledger: what happened, and the answer that was given for it. */
export type LedgerEntry = {
  /** ISO 8601, UTC. */
  at: string;
  /** What happened, e.g. `captured`; the README of each sandbox lists its kinds. */
  kind: string;
  /** The caller's idempotency key, when it sent one. */
  idempotency_key?: string;
  /** Hash of the request that the key belongs to. */
  fingerprint?: string;
  /** HTTP status of the answer. */
  status: number;
  /** The answer's body, which is also the state after this entry. */
  answer: unknown;
  [field: string]: unknown;
};

type Waiter = { line: string; resolve(): void; reject(cause: unknown): void };

/** Called once for each entry found at start, oldest first, with its byte offset. */
export type Restore = (entry: LedgerEntry, offset: number) => void;

/**
 * The ledger of one sandbox. One process per file: two would overwrite each other.
 * A write or sync that fails is final (what the disk holds is unknown then): every later `append` rejects.
 */
export class Ledger {
  readonly #file: FileHandle;
  #durableBytes: number;
  #nextOffset: number;
  #waiting: Waiter[] = [];
  #flushing: Promise<void> | undefined;
  #lastSyncAt = 0;
  #failure: unknown;

  private constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file;
    this.#durableBytes = sizeBytes;
    this.#nextOffset = sizeBytes;
  }

  /** Opens or creates the file, cuts off a line torn by a crash, and hands every entry to `restore`. */
  static async open(path: string, restore: Restore): Promise<Ledger> {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, "a+", 0o600);
    try {
      const endBytes = await restoreAll(file, path, restore);
      await syncFolder(dirname(path));
      return new Ledger(file, endBytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Appends one line (without its newline) and resolves with its byte offset once it is on disk. */
  append(line: string): Promise<number> {
    const offset = this.#nextOffset;
    this.#nextOffset += Buffer.byteLength(line) + 1;
    return this.#enqueue(`${line}\n`).then(() => offset);
  }

  /** Resolves once everything appended so far is on disk, so that no reader sees what a crash could take back. */
  settled(): Promise<void> {
    if (this.#failure === undefined && this.#nextOffset === this.#durableBytes) return Promise.resolve();
    return this.#enqueue("");
  }

  /** Reads the entry at an offset that `append` or `restore` gave. */
  async entryAt(offset: number): Promise<LedgerEntry> {
    const range = { from: offset, to: this.#durableBytes, chunkBytes: LOOKUP_CHUNK_BYTES };
    for await (const line of readLines(this.#file, range)) {
      return JSON.parse(line.text);
    }
    throw new Error(`the ledger has no entry at ${offset}`);
  }

  /** Every entry that was on disk at the time of the call, oldest first. */
  async *entries(): AsyncGenerator<LedgerEntry> {
    const range = { from: 0, to: this.#durableBytes, chunkBytes: SCAN_CHUNK_BYTES };
    for await (const line of readLines(this.#file, range)) {
      yield JSON.parse(line.text);
    }
  }

  /** Waits for what is being written, then closes the file. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.#file.close();
  }

  #enqueue(line: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#flushing ??= this.#flushAll();
    });
  }

  async #flushAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const restMs = this.#lastSyncAt + SYNC_INTERVAL_MS - performance.now();
      // Even without a rest, one turn of the event loop lets every request that has already arrived join.
      await (restMs > 0 ? setTimeout(restMs) : setImmediate());
      this.#lastSyncAt = performance.now();
      const group = this.#waiting;
      this.#waiting = [];
      await this.#flush(group);
    }
    // In the same turn as the loop's last look: an entry that came between the two would wait for ever.
    this.#flushing = undefined;
  }

  async #flush(group: Waiter[]): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const bytes = Buffer.from(group.map((waiter) => waiter.line).join(""));
      if (bytes.length > 0) {
        await writeAll(this.#file, bytes);
        await this.#file.datasync();
        this.#durableBytes += bytes.length;
      }
      for (const waiter of group) waiter.resolve();
    } catch (cause) {
      this.#failure = cause;
      for (const waiter of group) waiter.reject(cause);
    }
  }
}

type Line = { text: string; offset: number; end: number };

type Range = { from: number; to: number; chunkBytes: number };

async function* readLines(file: FileHandle, { from, to, chunkBytes }: Range): AsyncGenerator<Line> {
  let carry: Buffer = Buffer.alloc(0);
  let position = from;
  while (position < to) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, to - position));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return;
    const bytes =
      carry.length === 0
        ? chunk.subarray(0, bytesRead)
        : Buffer.concat([carry, chunk.subarray(0, bytesRead)]);
    const base = position + bytesRead - bytes.length;
    position += bytesRead;
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      yield { text: bytes.toString("utf8", start, end), offset: base + start, end: base + end + 1 };
      start = end + 1;
    }
    carry = bytes.subarray(start);
  }
}

// Answers where the file ends once a torn last line is gone.
async function restoreAll(file: FileHandle, path: string, restore: Restore): Promise<number> {
  const sizeBytes = (await file.stat()).size;
  let endBytes = 0;
  for await (const line of readLines(file, { from: 0, to: sizeBytes, chunkBytes: SCAN_CHUNK_BYTES })) {
    restore(parseEntry(line.text, path, line.offset), line.offset);
    endBytes = line.end;
  }
  if (endBytes < sizeBytes) {
    log("cut off a torn last line", { path, bytes: sizeBytes - endBytes });
    await file.truncate(endBytes);
  }
  // What was read may have been written by a process that died before its sync; from here on it counts.
  await file.datasync();
  return endBytes;
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

/** Makes the file's own existence durable: an fsync of a new file does not cover its folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}

function parseEntry(text: string, path: string, offset: number): LedgerEntry {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is damaged at byte ${offset}; nothing was changed`, { cause });
  }
}
