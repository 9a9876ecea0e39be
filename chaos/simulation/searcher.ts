// A thread that lets histories happen: they need nothing but a core.
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { checkHistories, type Found } from "./check-histories.ts";
import { mutations, unbroken } from "./mutations.ts";

/** Histories that one thread is to look at. */
export interface Errand {
  readonly histories: number;
  readonly seed: number;
  readonly path: string | undefined;
  /** The name of a bug on purpose. */
  readonly planted: string | undefined;
}

/** A thread, with one errand at a time. */
export interface Searcher {
  /** Rejects when the thread cannot go on. */
  search(errand: Errand): Promise<Found>;
  end(): Promise<unknown>;
}

/** Starts a thread. */
export function startSearcher(): Searcher {
  const worker = new Worker(new URL(import.meta.url));
  return {
    async search(errand) {
      worker.postMessage(errand);
      const [found] = await once(worker, "message");
      return found;
    },
    end: () => worker.terminate(),
  };
}

async function run({ planted, ...search }: Errand): Promise<Found> {
  const mutation = (planted === undefined ? undefined : mutations[planted]) ?? unbroken;
  // A bug on purpose is found, not studied.
  const shrink = planted === undefined && search.path === undefined;
  return await checkHistories({ ...search, shrink }, mutation);
}

if (!isMainThread)
  parentPort?.on("message", async (errand: Errand) => parentPort?.postMessage(await run(errand)));
