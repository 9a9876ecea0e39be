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
      "good-canaries": { type: "string", default: "3" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",").filter((name) => name !== "");
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no check ${unknown}; there are ${names.join(", ")}`);
  const chaosMinutes = Number(values["chaos-minutes"]);
  if (!(chaosMinutes > 0 && chaosMinutes <= 600)) throw new Error("--chaos-minutes is a number up to 600");
  const goodCanaries = Number(values["good-canaries"]);
  if (!(Number.isInteger(goodCanaries) && goodCanaries > 0 && goodCanaries <= 100))
    throw new Error("--good-canaries is a whole number from 1 to 100");
  const { tag, registry, grpcurl: grpcurlImage, keep, help } = values;
  if (!/^[\w.-]{1,128}$/.test(tag)) throw new Error(`--tag is a tag of an image, not "${tag}"`);
  return { tag, registry, grpcurlImage, only, chaosMinutes, goodCanaries, keep, help };
}
