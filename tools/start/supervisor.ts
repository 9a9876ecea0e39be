// Keeps a set of processes running and ends them in order: what uses a thing ends before the thing.

import type { Exit } from "../stores/launched-process.ts";
import { keepRunning, RESTART_POLICY, type RestartPolicy, type Startable } from "./keep-running.ts";

/** Something a supervisor starts, restarts and stops. */
export type Supervised = Startable & {
  stop(mode: "graceful" | "immediate"): Promise<Exit>;
};

type Kept = { supervised: Supervised; rank: number; done: Promise<void> };

/** Starts things, restarts those that crash, and stops all of them, highest rank first. */
export class Supervisor {
  readonly #say: (line: string) => void;
  readonly #policy: RestartPolicy;
  readonly #stopping = new AbortController();
  readonly #kept: Kept[] = [];
  #stopped: Promise<void> | undefined;

  constructor(say: (line: string) => void, policy: RestartPolicy = RESTART_POLICY) {
    this.#say = say;
    this.#policy = policy;
  }

  /** Aborts when the supervisor is told to stop. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Starts something and keeps it running; resolves when it first serves, rejects where it never comes to that. */
  keep(supervised: Supervised, rank: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Whoever waits for several things hears of the first failure only; the others are no surprise then.
    promise.catch(() => undefined);
    this.#kept.push({ supervised, rank, done: this.#run(supervised, resolve, reject) });
    return promise;
  }

  async #run(supervised: Supervised, onServing: () => void, onFailed: (error: Error) => void): Promise<void> {
    const { name } = supervised;
    let crashed = false;
    const events = {
      onServing: () => {
        if (crashed) this.#say(`${name} serves again`);
        onServing();
      },
      onCrash: (what: string, delayMs: number) => {
        crashed = true;
        this.#say(`${what}\n${name} starts again in ${delayMs} ms`);
      },
      onGivenUp: (what: string) => {
        const { maxCrashes, windowMs } = this.#policy;
        const how = `${name} crashed more than ${maxCrashes} times in ${windowMs / 1000} s and stays down`;
        this.#say(`${what}\n${how}`);
        onFailed(new Error(how));
      },
    };
    await keepRunning(supervised, events, this.#stopping.signal, this.#policy);
    onFailed(new Error(`${name} was stopped`));
  }

  /** Starts nothing any more, and stops everything, one rank after the other; resolves when nothing runs. */
  stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopped ??= this.#stopInOrder();
    return this.#stopped;
  }

  async #stopInOrder(): Promise<void> {
    const ranks = [...new Set(this.#kept.map(({ rank }) => rank))].sort((a, b) => b - a);
    for (const rank of ranks) {
      const members = this.#kept.filter((kept) => kept.rank === rank);
      await Promise.all(members.map(({ supervised }) => supervised.stop("graceful")));
      await Promise.all(members.map(({ done }) => done));
    }
  }

  /** Ends everything at once, as a crash would; for somebody who does not want to wait. */
  async stopAtOnce(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#kept.map(({ supervised }) => supervised.stop("immediate")));
  }
}
