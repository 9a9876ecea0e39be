import { parseArgs } from "node:util";
import { type Variant, variants } from "./faults/schedule.ts";

/** What a run is told. */
export interface RunOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly variant: Variant;
  /** Orders begun per second, on average. */
  readonly ordersPerSecond: number;
  /** Of the orders and faults a run has to reach the share that is asked of this one, which may also take that much longer to rest. */
  readonly speed: number;
  /** Where report and picture go. */
  readonly outFolder: string;
  /** A shop that runs already. */
  readonly against: string | undefined;
  /** A bug the services are to have. */
  readonly planted: string | undefined;
  /** Keep the data folder of a run that went well. */
  readonly keep: boolean;
}

/** What the command line asks for. */
export type Asked = { readonly run: RunOptions } | { readonly show: "help" | "planted" };

/** The text of `--help`. */
export const usage = `npm run chaos -- [options]
  --minutes N       how long the load lasts; 5
  --seed N          the same seed has the same faults; 1
  --variant NAME    ${variants.join(", ")}; random
  --rate N          orders begun per second; 11
  --speed N         on a machine that others use too, 0.3 say: asks for that share of orders and faults
                    only, and gives longer to come to rest; 1
  --out FOLDER      where report and picture go; chaos/results
  --against FILE    a shop that runs: its ports.json; faults are left to somebody else
  --planted NAME    with this bug in the services; it has to be found
  --list-planted    the names of the bugs
  --keep            keep logs and data also of a run that went well`;

/** Reads the command line; throws with a sentence for whoever typed it. */
export function parseFlags(args: readonly string[]): Asked {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string", default: "1" },
      variant: { type: "string", default: "random" },
      rate: { type: "string", default: "11" },
      speed: { type: "string", default: "1" },
      out: { type: "string", default: "chaos/results" },
      against: { type: "string" },
      planted: { type: "string" },
      "list-planted": { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return { show: "help" };
  if (values["list-planted"]) return { show: "planted" };
  const variant = variants.find((name) => name === values.variant);
  if (!variant) throw new Error(`--variant is one of ${variants.join(", ")}`);
  return {
    run: {
      minutes: numberOf("minutes", values.minutes, 0.1, 24 * 60),
      seed: numberOf("seed", values.seed, 0, 2 ** 31),
      variant,
      ordersPerSecond: numberOf("rate", values.rate, 0.1, 1_000),
      speed: numberOf("speed", values.speed, 0.1, 1),
      outFolder: values.out,
      against: values.against,
      planted: values.planted,
      keep: values.keep,
    },
  };
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= min && value <= max)) throw new Error(`--${name} is a number from ${min} to ${max}`);
  return value;
}
