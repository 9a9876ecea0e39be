import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binomialTail, hypergeometricTail, logGamma } from "./statistics.ts";

test("the gamma function of whole numbers is the factorial", () => {
  for (const [n, factorial] of [
    [1, 1],
    [5, 24],
    [11, 3_628_800],
  ] as const)
    expect(Math.exp(logGamma(n))).toBeCloseTo(factorial, -Math.log10(factorial) + 3);
  expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 10);
});

describe("binomial", () => {
  test("agrees with what is counted by hand", () => {
    expect(binomialTail(3, 3, 0.5)).toBeCloseTo(0.125, 10);
    expect(binomialTail(9, 10, 0.5)).toBeCloseTo(11 / 1024, 10);
    // Summed over whole numbers elsewhere, without a logarithm.
    expect(binomialTail(20, 100, 0.1)).toBeCloseTo(0.0019785608657712, 12);
    expect([
      binomialTail(0, 5, 0.1),
      binomialTail(6, 5, 0.9),
      binomialTail(1, 5, 0),
      binomialTail(5, 5, 1),
    ]).toEqual([1, 0, 0, 1]);
  });

  test("falls as more is seen, and is a probability", () => {
    const cases = fc.record({
      n: fc.integer({ min: 1, max: 5_000 }),
      p: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(cases, ({ n, p, at }) => {
        const k = Math.floor(at * n);
        const [here, next] = [binomialTail(k, n, p), binomialTail(k + 1, n, p)];
        expect(here).toBeGreaterThanOrEqual(0);
        expect(here).toBeLessThanOrEqual(1);
        // Below the mean only "likely" is promised.
        if (k > n * p) expect(next).toBeLessThanOrEqual(here + 1e-12);
        else expect(here).toBeGreaterThanOrEqual(0.5);
      }),
    );
  });
});

describe("hypergeometric", () => {
  test("agrees with what is counted by hand", () => {
    // Fisher's tea: 4 of 4 cups by chance.
    expect(hypergeometricTail(4, 4, 4, 8)).toBeCloseTo(1 / 70, 10);
    expect(hypergeometricTail(3, 4, 4, 8)).toBeCloseTo(17 / 70, 10);
    expect(hypergeometricTail(15, 100, 50, 1_000)).toBeCloseTo(4.2001271065962e-5, 14);
    expect([hypergeometricTail(0, 4, 4, 8), hypergeometricTail(5, 4, 4, 8)]).toEqual([1, 0]);
  });

  test("adds up to one over all that can be drawn", () => {
    const point = (k: number) => hypergeometricTail(k, 6, 5, 12) - hypergeometricTail(k + 1, 6, 5, 12);
    // Above the mean of 2.5 the tails are exact.
    const choose = (n: number, k: number) =>
      Math.exp(logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1));
    for (const k of [3, 4, 5])
      expect(point(k)).toBeCloseTo((choose(5, k) * choose(7, 6 - k)) / choose(12, 6), 9);
  });
});
