// Exact tests for counts. All are one-sided: how likely is it to see so many, or more, where nothing is wrong?

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** Natural logarithm of the gamma function of x > 0, to about 1e-13. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const base = shifted + 7.5;
  const series = LANCZOS.reduce(
    (sum, factor, index) => sum + (index === 0 ? factor : factor / (shifted + index)),
    0,
  );
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(series);
}

const logChoose = (n: number, k: number) => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);

/** P(X >= k) of a binomial distribution: n trials, each a hit with probability p. */
export function binomialTail(k: number, n: number, p: number): number {
  if (k <= 0) return 1;
  if (k > n || p <= 0) return 0;
  if (p >= 1) return 1;
  const ratio = (i: number) => ((n - i) / (i + 1)) * (p / (1 - p));
  const log = logChoose(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p);
  return tail({ from: k, last: n, mean: n * p, log, ratio });
}

/**
 * P(X >= k) where X of `drawn` pieces are marked, of a heap of `size` with `marked`: Fisher's exact test, one-sided.
 */
export function hypergeometricTail(k: number, drawn: number, marked: number, size: number): number {
  const first = Math.max(0, drawn + marked - size);
  const last = Math.min(drawn, marked);
  if (k <= first) return 1;
  if (k > last) return 0;
  const ratio = (i: number) => ((marked - i) * (drawn - i)) / ((i + 1) * (size - marked - drawn + i + 1));
  const log = logChoose(marked, k) + logChoose(size - marked, drawn - k) - logChoose(size, drawn);
  return tail({ from: k, last, mean: (drawn * marked) / size, log, ratio });
}

interface Tail {
  readonly from: number;
  readonly last: number;
  readonly mean: number;
  /** Logarithm of the probability of `from`. */
  readonly log: number;
  /** Probability of i + 1 by that of i. */
  readonly ratio: (i: number) => number;
}

/** Below the mean the answer is "likely", and its digits matter to nobody. */
function tail({ from, last, mean, log, ratio }: Tail): number {
  if (from <= mean) return Math.max(0.5, Math.min(1, Math.exp(log)));
  let term = 1;
  let sum = 1;
  for (let i = from; i < last && term > sum * 1e-12; i += 1) {
    term *= ratio(i);
    sum += term;
  }
  return Math.min(1, Math.exp(log) * sum);
}
