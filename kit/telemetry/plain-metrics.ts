// What is counted with every call is counted in plain numbers: prom-client makes a text of a series' labels for each increment, to look
// the series up by it. Its registry is told when somebody asks.
import { Counter, type Metric, type Registry } from "prom-client";

/** A number that only grows. */
export interface CounterHandle {
  inc(by?: number): void;
}

/** How long things take. */
export interface DurationHandle {
  observe(seconds: number): void;
}

interface Described {
  readonly name: string;
  readonly help: string;
}

/** A counter whose every series is made once; no series is shown before it has counted anything. */
export function createCounter(
  registry: Registry,
  described: Described,
  labelNames: readonly string[],
): (...labels: string[]) => CounterHandle {
  const tallies: Tally[] = [];
  new Counter({
    ...described,
    labelNames,
    registers: [registry],
    collect() {
      for (const tally of tallies) tally.report((labels, by) => this.labels(...labels).inc(by));
    },
  });
  return (...labels) => {
    const tally = new Tally(labels);
    tallies.push(tally);
    return tally;
  };
}

class Tally implements CounterHandle {
  readonly #labels: readonly string[];
  #unreported = 0;

  constructor(labels: readonly string[]) {
    this.#labels = labels;
  }

  inc(by = 1): void {
    this.#unreported += by;
  }

  report(add: (labels: readonly string[], by: number) => void): void {
    if (this.#unreported === 0) return;
    add(this.#labels, this.#unreported);
    this.#unreported = 0;
  }
}

/** A histogram of durations by one label; `buckets` are upper bounds in seconds, ascending. */
export function createDurations(
  registry: Registry,
  described: Described,
  labelName: string,
  buckets: readonly number[],
): (label: string) => DurationHandle {
  const all: Durations[] = [];
  const metric = {
    ...described,
    type: "histogram",
    aggregator: "sum",
    get: async () => ({
      ...described,
      type: "histogram",
      aggregator: "sum",
      values: all.flatMap((durations) => durations.lines(described.name, labelName)),
    }),
  };
  // All that a registry asks of a metric.
  registry.registerMetric(metric as unknown as Metric);
  return (label) => {
    const durations = new Durations(label, buckets);
    all.push(durations);
    return durations;
  };
}

class Durations implements DurationHandle {
  readonly #label: string;
  readonly #buckets: readonly number[];
  /** One for each bucket, and the last for what is above all. */
  readonly #counts: number[];
  #sum = 0;

  constructor(label: string, buckets: readonly number[]) {
    this.#label = label;
    this.#buckets = buckets;
    this.#counts = Array.from({ length: buckets.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    let at = 0;
    while (at < this.#buckets.length && seconds > (this.#buckets[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += seconds;
  }

  /** As Prometheus has them: each bucket counts what the ones below it do. */
  lines(name: string, labelName: string) {
    let count = 0;
    const lines = this.#counts.map((here, at) => {
      count += here;
      return this.#line(`${name}_bucket`, count, labelName, this.#buckets[at] ?? "+Inf");
    });
    if (count === 0) return [];
    return [
      ...lines,
      this.#line(`${name}_sum`, this.#sum, labelName),
      this.#line(`${name}_count`, count, labelName),
    ];
  }

  #line(metricName: string, value: number, labelName: string, le?: number | string) {
    return { metricName, value, labels: { ...(le !== undefined && { le }), [labelName]: this.#label } };
  }
}
