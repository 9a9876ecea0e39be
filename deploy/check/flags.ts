import { parseArgs } from "node:util";
import type { Setting } from "./check.ts";

/** As in deploy/README.md. */
const GRPCURL = "fullstorydev/grpcurl:v1.9.3";

/** What the command line asks for. */
export interface Asked extends Setting {
  /** Names of checks; all where there are none. */
  readonly only: readonly string[];
  /** Leaves the shop in the cluster. */
  readonly keep: boolean;
  readonly help: boolean;
}

/** What `--help` shows. */
export const usage = (names: readonly string[]) => `npm run cluster:check -- [options]
  --tag TAG           of all images; ci
  --registry PREFIX   before their names: registry.example.com/; none
  --grpcurl IMAGE     of grpcurl; ${GRPCURL}
  --only NAME,…       some of: ${names.join(", ")}
                      without comes-up they are tried on the shop that runs
  --chaos-minutes N   how long orders are placed while pods are killed; 5
  --usage-rate N      calls a second while it is counted what pods use, one of four an order; 20
  --good-canaries N   how many good canaries are released, to see how many of them are aborted; 3
  --keep              leave the shop in the cluster
KUBECONFIG names the cluster, KUBECTL the program where it is not on the path.`;

/** Reads the command line; throws with a sentence for whoever typed it. */
export function readFlags(args: readonly string[], names: readonly string[]): Asked {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tag: { type: "string", default: "ci" },
      registry: { type: "string", default: "" },
      grpcurl: { type: "string", default: GRPCURL },
      only: { type: "string", default: "" },
      "chaos-minutes": { type: "string", default: "5" },
      "usage-rate": { type: "string", default: "20" },
      "good-canaries": { type: "string", default: "3" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",").filter((name) => name !== "");
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no check ${unknown}; there are ${names.join(", ")}`);
  const chaosMinutes = numberOf("chaos-minutes", values["chaos-minutes"], 600);
  const goodCanaries = numberOf("good-canaries", values["good-canaries"], 100);
  if (!Number.isInteger(goodCanaries)) throw new Error("--good-canaries is a whole number");
  const usageRate = numberOf("usage-rate", values["usage-rate"], 1_000);
  const { tag, registry, grpcurl: grpcurlImage, keep, help } = values;
  if (!/^[\w.-]{1,128}$/.test(tag)) throw new Error(`--tag is a tag of an image, not "${tag}"`);
  return { tag, registry, grpcurlImage, only, chaosMinutes, goodCanaries, usageRate, keep, help };
}

function numberOf(name: string, text: string, max: number): number {
  const value = Number(text);
  if (value > 0 && value <= max) return value;
  throw new Error(`--${name} is a number above 0, up to ${max}`);
}
