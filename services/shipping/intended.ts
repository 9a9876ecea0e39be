import type { Call } from "#kit/rpc/call.ts";

/** Hands what a command's `intend` met to the `prepare` of the same call. */
export interface Intended<Met> {
  keep(call: Call, met: Met): void;
  of(call: Call): Met;
}

/** Made once per command; holds a call's value as long as the call lives. */
export function createIntended<Met>(): Intended<Met> {
  const kept = new WeakMap<Call, Met>();
  return {
    keep: (call, met) => void kept.set(call, met),
    of(call) {
      const met = kept.get(call);
      if (met === undefined) throw new Error("prepare ran without its intend");
      return met;
    },
  };
}
