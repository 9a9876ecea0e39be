/** What a gate found: nothing, or what is to be mended, line by line. */
export type Verdict = {
  faults: readonly string[];
  /** What a reader should know either way. */
  note?: string;
};
