import { parseArgs } from "node:util";
import { readDataDir } from "../start/flags.ts";
import { canaryCommands } from "./canary.ts";
import { type Command, type Flag, type Input, type Report, WrongUse } from "./command.ts";
import { deadLetterCommands } from "./dead-letters.ts";
import type { Desk, DeskOptions } from "./desk.ts";
import { meshCommands } from "./mesh.ts";
import { outboxCommands } from "./outbox.ts";
import { reconciliationCommands } from "./reconciliation.ts";
import { sagaCommands } from "./sagas.ts";

/** All commands, as the help lists them. */
export const COMMANDS: readonly Command[] = [
  ...sagaCommands,
  ...deadLetterCommands,
  ...reconciliationCommands,
  ...outboxCommands,
  ...canaryCommands,
  ...meshCommands,
];

/** What `npm run souk` was asked for. */
export type SoukFlags =
  | { help: string }
  | { act: (desk: Desk) => Promise<Report>; json: boolean; desk: DeskOptions }
  | { actInCluster: () => Promise<Report>; json: boolean };

const sharedFlags: Readonly<Record<string, Flag>> = {
  json: { type: "boolean", help: "one JSON object per line, for scripts" },
  gateway: {
    type: "string",
    value: "URL",
    help: "the shop's public door (or SOUK_GATEWAY); the running shop's where unset",
  },
  "data-dir": { type: "string", value: "PATH", help: "the folder of the running shop (or SOUK_DATA_DIR)" },
  help: { type: "boolean", help: "this text" },
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads arguments and environment; throws with a sentence for the person who typed them. */
export function readSoukFlags(args: readonly string[], env: Environment): SoukFlags {
  const command = findCommand(args);
  if (!command) return readWithoutCommand(args);
  const input = parse(command, args.slice(command.name.split(" ").length));
  if (input.values.help === true) return { help: helpFor(command) };
  checkFlags(input.values);
  checkOperands(command, input.operands);
  const text = (name: string) => {
    const value = input.values[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const json = input.values.json === true;
  if ("prepareInCluster" in command) return { actInCluster: command.prepareInCluster(input), json };
  return {
    act: command.prepare(input),
    json,
    desk: {
      gatewayUrl: readUrl(text("gateway") ?? (env.SOUK_GATEWAY || undefined)),
      token: env.SOUK_TOKEN || undefined,
      dataDir: readDataDir(text("data-dir"), env),
    },
  };
}

function findCommand(args: readonly string[]): Command | undefined {
  return COMMANDS.find(({ name }) => name.split(" ").every((word, index) => args[index] === word));
}

function readWithoutCommand(args: readonly string[]): SoukFlags {
  const words = args.filter((arg) => !arg.startsWith("-"));
  const group = COMMANDS.filter(({ name }) => name.split(" ")[0] === words[0]);
  const asksForHelp = args.includes("--help") || args.includes("-h");
  if (asksForHelp && (words.length === 0 || group.length > 0)) return { help: SOUK_HELP };
  const typed = words.slice(0, 2).join(" ");
  const known = (group.length > 0 ? group : COMMANDS).map(({ name }) => name).join(", ");
  throw new WrongUse(
    typed === ""
      ? `What to do? One of: ${known}; or --help`
      : `There is no command "${typed}". One of: ${known}`,
  );
}

function parse(command: Command, args: readonly string[]) {
  const flags = Object.entries({ ...command.flags, ...sharedFlags });
  const options = Object.fromEntries(
    flags.map(([name, { type }]) => [name, { type, ...(name === "help" && { short: "h" }) }]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { operands: positionals, values: values as Record<string, string | boolean | undefined> };
  } catch (error) {
    throw new WrongUse((error as Error).message);
  }
}

/** A script's variable that is not set must not make a command about one service one about all. */
function checkFlags(values: Input["values"]): void {
  for (const [name, value] of Object.entries(values))
    if (value === "") throw new WrongUse(`--${name} is empty`);
}

function checkOperands({ name, operands }: Command, given: readonly string[]): void {
  const missing = operands.slice(given.length).find((operand) => !operand.startsWith("["));
  if (missing !== undefined) throw new WrongUse(`${name}: ${missing} is missing`);
  const empty = operands[given.indexOf("")];
  if (empty !== undefined) throw new WrongUse(`${name}: ${empty} is empty`);
  if (given.length > operands.length) throw new WrongUse(`${name}: what is "${given[operands.length]}"?`);
}

function readUrl(text: string | undefined): string | undefined {
  if (text === undefined || (URL.canParse(text) && /^https?:\/\//.test(text))) return text;
  throw new WrongUse(`--gateway is an address like http://127.0.0.1:8080, not "${text}"`);
}

const usageOf = ({ name, operands }: Command) => ["npm run -s souk --", name, ...operands].join(" ");

const drawFlags = (flags: Readonly<Record<string, Flag>>) =>
  Object.entries(flags)
    .map(([name, { value, help }]) => `  ${`--${name}${value ? ` ${value}` : ""}`.padEnd(18)} ${help}`)
    .join("\n");

/** The text of a command's `--help`. */
function helpFor(command: Command): string {
  return `${usageOf(command)}\n\n${command.summary}\n\n${drawFlags({ ...command.flags, ...sharedFlags })}`;
}

const width = Math.max(...COMMANDS.map((command) => usageOf(command).length));

/** The text of `npm run souk -- --help`. */
export const SOUK_HELP = `Shows what is stuck in the shop, and settles it; releases to a cluster.

${COMMANDS.map((command) => `  ${usageOf(command).padEnd(width)}  ${command.summary}`).join("\n")}

Each has --help. Everywhere:
${drawFlags(sharedFlags)}

Calls but a canary's go to the gateway with a token of the running shop's development issuer, or the one in SOUK_TOKEN.

Exit code 0: done. 1: refused, or no shop runs. 2: wrong use.`;
