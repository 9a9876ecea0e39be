// The simulated machine room: one clock, one queue of things to come, processes that die, and all chance from one list of
// numbers. Nothing here knows the shop.
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** One process of a service. What it awaits never comes when it is dead. */
export interface Process {
  readonly service: string;
  alive: boolean;
  /** Until then it does nothing, as if it were stopped: what reaches it waits. */
  stalledUntilMs: number;
  /** Callers that wait for an answer of this process; each is told when it dies. */
  readonly callers: Set<() => void>;
  /** Called once, when it dies. */
  readonly onDeath: (process: Process) => void;
}

/** What happens to one effect of a process on the world outside its memory. */
interface Fate {
  readonly delayMs: number;
  readonly kind:
    | "done"
    | "death before"
    | "death after"
    | "fault before"
    | "fault after"
    | "stall after"
    | "late";
}

/** Longer than any lease and any attempt. */
const stallMs = 15_000;
const lateMs = 30_000;
const answerTimeoutMs = 6_000;

/** A world in which the same choices lead to the same history. */
export class World {
  nowMs = 0;
  readonly violations: string[] = [];
  readonly #choices: readonly number[];
  readonly #queue: { readonly atMs: number; readonly run: () => unknown }[] = [];
  #drawn = 0;

  /** @param choices numbers below 1,000, used up one by one; after the last nothing goes wrong any more. */
  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  /** The next choice: 0 is the kindest. */
  draw(): number {
    return this.#choices[this.#drawn++] ?? 0;
  }

  /** Says that something happened that must never happen. */
  violate(what: string): void {
    this.violations.push(what);
  }

  /** Has something happen later; what is due at the same moment happens in the order of asking. */
  after(delayMs: number, run: () => unknown): void {
    const entry = { atMs: this.nowMs + delayMs, run };
    let index = this.#queue.length;
    while (index > 0 && (this.#queue[index - 1]?.atMs ?? 0) > entry.atMs) index -= 1;
    this.#queue.splice(index, 0, entry);
  }

  /** Has something happen in a process, unless it is dead by then; later where it is stalled. */
  inProcess(process: Process, delayMs: number, run: () => unknown): void {
    this.after(delayMs, () => {
      if (!process.alive) return undefined;
      const waitMs = process.stalledUntilMs - this.nowMs;
      return waitMs > 0 ? this.inProcess(process, waitMs, run) : run();
    });
  }

  /** A wait of a process; it never ends where the process dies first. */
  sleep(process: Process, ms: number): Promise<void> {
    return new Promise((resolve) => this.inProcess(process, ms, resolve));
  }

  /** Ends a process at once: what it had in memory is lost. */
  kill(process: Process): void {
    if (!process.alive) return;
    process.alive = false;
    for (const tell of process.callers) tell();
    process.callers.clear();
    process.onDeath(process);
  }

  /**
   * One effect of a process: done, or not, or done without the process learning of it. `canBeLate` is for requests over a
   * network: carried out when nobody waits for them any more.
   */
  effect<T>(process: Process, perform: () => Promise<T>, canBeLate = false): Promise<T> {
    const fate = toFate(this.draw(), canBeLate);
    return new Promise((resolve, reject) => {
      const fail = (delayMs: number) => this.inProcess(process, delayMs, () => reject(unavailable()));
      if (fate.kind === "late") {
        fail(answerTimeoutMs);
        this.after(lateMs, () => perform().catch(() => {}));
        return;
      }
      this.inProcess(process, fate.delayMs, async () => {
        if (fate.kind === "death before") return this.kill(process);
        if (fate.kind === "fault before") return fail(1);
        const [outcome] = await Promise.allSettled([perform()]);
        if (fate.kind === "death after") return this.kill(process);
        if (fate.kind === "fault after") return fail(1);
        if (fate.kind === "stall after") process.stalledUntilMs = this.nowMs + stallMs;
        this.inProcess(process, 1, () =>
          outcome?.status === "fulfilled" ? resolve(outcome.value) : reject(outcome?.reason),
        );
      });
    });
  }

  /** Lets everything happen, until nothing is left to come. False where it does not come to rest. */
  async run(maxEvents: number): Promise<boolean> {
    for (let events = 0; events < maxEvents; events += 1) {
      const next = this.#queue.shift();
      if (!next) return true;
      this.nowMs = next.atMs;
      await next.run();
      await new Promise(setImmediate);
    }
    return false;
  }
}

/** Nine effects in ten go well. */
function toFate(choice: number, canBeLate: boolean): Fate {
  const delayMs = 1 + (choice % 10);
  if (choice < 880) return { delayMs, kind: "done" };
  if (choice < 900) return { delayMs, kind: "death before" };
  if (choice < 925) return { delayMs, kind: "death after" };
  if (choice < 940) return { delayMs, kind: "fault before" };
  if (choice < 960) return { delayMs, kind: "fault after" };
  if (choice < 975) return { delayMs, kind: "stall after" };
  return canBeLate ? { delayMs, kind: "late" } : { delayMs: 7_000, kind: "done" };
}

/** What a caller gets that does not learn what happened. */
export const unavailable = () =>
  serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "It is away.");

/** Makes a process. */
export const createProcess = (service: string, onDeath: (process: Process) => void): Process => ({
  service,
  alive: true,
  stalledUntilMs: 0,
  callers: new Set(),
  onDeath,
});
