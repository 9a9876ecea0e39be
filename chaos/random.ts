/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** From 0 up to, but not, 1. */
  next(): number;
  /** A whole number, both bounds included. */
  integer(min: number, max: number): number;
  /** True in this share of all draws. */
  chance(share: number): boolean;
  /** One of several; throws where there are none. */
  pick<T>(from: readonly T[]): T;
  /** The same things in another order. */
  shuffle<T>(from: readonly T[]): T[];
}

/**
 * A source of numbers for a seed and a purpose: faults and purchases draw from sources of their own, so that the number of
 * orders a machine manages does not change the faults it meets. (mulberry32 by Tommy Ettinger, public domain.)
 */
export function createRandom(seed: number, purpose: string): Random {
  let state = seed | 0;
  for (const letter of purpose) state = (Math.imul(state, 31) + letter.charCodeAt(0)) | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    chance: (share) => next() < share,
    pick: (from) => pickFrom(from, next()),
    shuffle: (from) => shuffle(from, integer),
  };
}

function pickFrom<T>(from: readonly T[], at: number): T {
  const found = from[Math.floor(at * from.length)];
  if (found === undefined) throw new Error("there is nothing to pick from");
  return found;
}

function shuffle<T>(from: readonly T[], integer: Random["integer"]): T[] {
  const shuffled = [...from];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = integer(0, last);
    [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
  }
  return shuffled;
}
