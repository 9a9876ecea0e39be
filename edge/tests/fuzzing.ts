/**
 * The same random cases in each run, so that only a change can turn a test red. FUZZ_SEED=7 draws others, FUZZ_RUNS=100 a hundred
 * times as many; a failure prints the seed and path that repeat it.
 */
export const fuzzing = (numRuns: number) => ({
  seed: Number(process.env.FUZZ_SEED ?? 1),
  numRuns: numRuns * Number(process.env.FUZZ_RUNS ?? 1),
});
