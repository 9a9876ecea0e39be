import {
  describeExit,
  type Exit,
  type Launch,
  LaunchedProcess,
} from "../../tools/stores/launched-process.ts";

/** An end that nobody asked for, of a process that had served. */
export interface SurprisingEnd {
  readonly name: string;
  readonly how: string;
  /** By `performance.now()`. */
  readonly atMs: number;
}

/** A process that a supervisor keeps running, and that knows which of its ends were ordered. */
export class WatchedProcess {
  readonly #launched: LaunchedProcess;
  readonly #onSurprise: (end: SurprisingEnd) => void;
  #serving = false;
  #ordered = false;
  #starts = 0;

  constructor(launch: Launch, onSurprise: (end: SurprisingEnd) => void) {
    this.#launched = new LaunchedProcess(launch);
    this.#onSurprise = onSurprise;
  }

  get name(): string {
    return this.#launched.name;
  }

  get pid(): number | undefined {
    return this.#launched.pid;
  }

  get exited(): Promise<Exit> {
    return this.#launched.exited;
  }

  /** Whether it has come to serve since its last start. */
  get serving(): boolean {
    return this.#serving;
  }

  /** How often it has come to serve. */
  get starts(): number {
    return this.#starts;
  }

  /** Starts; called by the supervisor alone. */
  async start(signal: AbortSignal): Promise<void> {
    this.#ordered = false;
    await this.#launched.start(signal);
    this.#serving = true;
    this.#starts += 1;
    void this.#launched.exited.then((exit) => this.#onExit(exit));
  }

  /** Ends it, in order or as a crash would. */
  stop(mode: "graceful" | "immediate"): Promise<Exit> {
    this.#ordered = true;
    this.#wake();
    return this.#launched.stop(mode);
  }

  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<Exit> {
    this.#ordered = true;
    return this.#launched.kill("SIGKILL");
  }

  /** SIGSTOP; undone by {@link thaw}. */
  freeze(): void {
    if (this.pid !== undefined) process.kill(this.pid, "SIGSTOP");
  }

  /** SIGCONT. */
  thaw(): void {
    this.#wake();
  }

  #wake() {
    try {
      if (this.pid !== undefined) process.kill(this.pid, "SIGCONT");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  #onExit(exit: Exit) {
    this.#serving = false;
    if (!this.#ordered)
      this.#onSurprise({ name: this.name, how: describeExit(exit), atMs: performance.now() });
  }
}
