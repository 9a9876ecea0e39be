import type { JsonObject } from "@bufbuild/protobuf";
import type { Desk } from "./desk.ts";

/** A flag. */
export type Flag = {
  type: "string" | "boolean";
  /** What stands for the value in the help: `NAME`. */
  value?: string;
  help: string;
};

/** What was typed behind a command's name. */
export type Input = {
  operands: readonly string[];
  values: Readonly<Record<string, string | boolean | undefined>>;
};

/** What a command has to say. */
export type Report = {
  /** For people. */
  text: string;
  /** For scripts: one line each. */
  entries: readonly JsonObject[];
  /** What was refused on the way, while the rest went on. */
  refusals: readonly string[];
};

/** What each command of `npm run souk` says of itself. */
type Described = {
  /** As it is typed: `saga list`. */
  name: string;
  /** Names of what stands behind it; those in brackets may be left out: `[SERVICE]`. */
  operands: readonly string[];
  flags: Readonly<Record<string, Flag>>;
  summary: string;
};

/** A command that asks the shop, at an operator's desk. */
export type DeskCommand = Described & {
  /** Reads what was typed; throws a WrongUse for what cannot be meant. Nothing has been called yet. */
  prepare(input: Input): (desk: Desk) => Promise<Report>;
};

/** A command that asks a Kubernetes cluster, whether or not a shop answers there. */
export type ClusterCommand = Described & { prepareInCluster(input: Input): () => Promise<Report> };

/** One command of `npm run souk`. */
export type Command = DeskCommand | ClusterCommand;

/** What was typed is no command, or not as it has to be. */
export class WrongUse extends Error {}

/** A text that has to be given. */
export function required({ values }: Input, name: string): string {
  const value = values[name];
  if (typeof value === "string" && value !== "") return value;
  throw new WrongUse(`--${name} is missing`);
}

/** A text that may be given. */
export function optional({ values }: Input, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}
