import type { Socket } from "node:net";

/** What a link does to what passes through it. */
export interface Passage {
  /** Nothing passes while this is true; what arrives is kept. */
  readonly stalled: boolean;
  /** Nothing comes back: an answer breaks the connection. */
  readonly unanswered: boolean;
  /** The largest piece that is passed on at once, in bytes. */
  readonly sliceBytes: number;
  /** How late the next piece is. */
  delayMs(): number;
}

/** More than this many waiting bytes hold the sender back. */
const maxWaitingBytes = 1 << 20;

interface Piece {
  /** Undefined for the end of the stream, which keeps its place behind the data. */
  readonly bytes: Buffer | undefined;
  readonly dueMs: number;
}

/** One direction of a connection: bytes arrive in order, each as late as the link makes it. */
export class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #passage: Passage;
  readonly #waiting: Piece[] = [];
  #waitingBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, passage: Passage) {
    this.#from = from;
    this.#to = to;
    this.#passage = passage;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.once("end", () => this.#take(undefined));
    to.on("drain", () => this.pass());
  }

  /** Passes on what is due; to be called again when the passage has changed. */
  pass(): void {
    clearTimeout(this.#timer);
    while (!this.#passage.stalled && !this.#to.writableNeedDrain && this.#passNext());
    if (this.#waitingBytes < maxWaitingBytes) this.#from.resume();
  }

  #take(bytes: Buffer | undefined) {
    const dueMs = Math.max(this.#lastDueMs, performance.now() + this.#passage.delayMs());
    this.#lastDueMs = dueMs;
    this.#waiting.push({ bytes, dueMs });
    this.#waitingBytes += bytes?.length ?? 0;
    if (this.#waitingBytes >= maxWaitingBytes) this.#from.pause();
    this.pass();
  }

  /** Returns whether there may be more to pass on at once. */
  #passNext(): boolean {
    const [piece] = this.#waiting;
    if (!piece || this.#to.destroyed) return false;
    const earlyMs = piece.dueMs - performance.now();
    if (earlyMs > 0) {
      this.#timer = setTimeout(() => this.pass(), Math.ceil(earlyMs));
      return false;
    }
    this.#waiting.shift();
    if (!piece.bytes) this.#to.end();
    else this.#write(piece.bytes);
    return true;
  }

  #write(bytes: Buffer) {
    this.#waitingBytes -= bytes.length;
    const { sliceBytes } = this.#passage;
    for (let at = 0; at < bytes.length; at += sliceBytes) this.#to.write(bytes.subarray(at, at + sliceBytes));
  }
}
