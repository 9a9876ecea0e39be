import { type EdgeError, toEdgeError } from "./edge-error.ts";
import type { Exchange } from "./exchange.ts";
import type { Runtime } from "./runtime.ts";

/** Has the gateway decide on a request that no RPC answers; then one of the two is called, at once where it can be. */
export function admitUnmatched(
  { options }: Runtime,
  exchange: Exchange,
  answer: () => void,
  refuse: (error: EdgeError) => void,
): void {
  try {
    const pending = options.admitUnmatched?.(exchange);
    if (pending === undefined) answer();
    else pending.then(answer).catch((thrown: unknown) => refuse(toEdgeError(thrown)));
  } catch (thrown) {
    refuse(toEdgeError(thrown));
  }
}
