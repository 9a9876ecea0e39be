import { resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { operatorServices } from "../../services/gateway/policy.ts";
import type { Desk } from "./desk.ts";
import { COMMANDS, readSoukFlags, SOUK_HELP } from "./flags.ts";
import { readTime } from "./outbox.ts";

const read = (line: string, env = {}) => readSoukFlags(line === "" ? [] : line.split(" "), env);
const letter = "letter_01hzy3v8q0e9wb0c1a2d3f4g5h";

test("without flags the running shop is asked, and a person reads the answer", () => {
  expect(read("dlq list")).toMatchObject({
    json: false,
    desk: { gatewayUrl: undefined, token: undefined, dataDir: resolve(".souk") },
  });
});

test("flags and environment say where the shop is, who asks and for whom to print", () => {
  const env = { SOUK_GATEWAY: "http://shop:1", SOUK_TOKEN: "t", SOUK_DATA_DIR: "/shop" };
  const desk = { gatewayUrl: "http://shop:1", token: "t", dataDir: "/shop" };
  expect(read("dlq list --json", env)).toMatchObject({ json: true, desk });
  expect(read("dlq list --gateway http://other:2 --data-dir /other", env)).toMatchObject({
    desk: { gatewayUrl: "http://other:2", dataDir: "/other" },
  });
});

test.each([
  ["", "What to do?"],
  ["lunch", 'There is no command "lunch"'],
  ["dlq", 'There is no command "dlq". One of: dlq list'],
  ["dlq burn", 'There is no command "dlq burn"'],
  ["dlq list now", 'what is "now"?'],
  ["dlq list --colour", "--colour"],
  ["dlq list --service", "--service"],
  ["dlq list --service Orders!", 'not "Orders!"'],
  ["dlq list --status lost", "--status is one of waiting, replayed, discarded"],
  ["dlq list --status constructor", "--status is one of"],
  ["dlq list --limit 0", "--limit is a whole number"],
  ["dlq list --limit 1e3", "--limit is a whole number"],
  ["dlq list --gateway shop:8080", "--gateway is an address"],
  ["dlq show", "DEAD_LETTER_ID is missing"],
  ["dlq show ", "DEAD_LETTER_ID is empty"],
  ["dlq replay-all --service=", "--service is empty"],
  ["dlq discard x", "--why is missing"],
  ["dlq skip x --why so", "--consumer is missing"],
  ["reconcile Orders!", "a service is named in small letters"],
  ["reconcile all all --grace-ms soon", "--grace-ms is a whole number"],
  ["saga resolve", "SAGA_ID is missing"],
  ["saga resolve x --why so", "--as is missing"],
  ["saga resolve x --as step-done", "--why is missing"],
  ["saga resolve x --why so --as toString", "--as is one of step-done, compensate"],
  ["saga list --status stuck", "--status is one of running, compensating, completed, compensated, parked"],
  ["outbox republish", "--since is missing"],
  ["outbox republish --since yesterday", "--since is a time like"],
  ["outbox republish --since 2026-11-21T13:00:00", "--since is a time like"],
  ["outbox republish --since 2026-13-21T13:00:00Z", "--since is a time like"],
  ["outbox republish --since 2999-01-01T00:00:00Z", "--since lies ahead"],
  ["canary start", "SERVICE is missing"],
  ["canary start orders", "--image is missing"],
  ["canary start Orders --image x", "a service is named in small letters"],
  ["canary promote", "SERVICE is missing"],
  ["canary status orders payments", 'what is "payments"?'],
  ["mesh doctor orders", "SERVICE is missing"],
  ["mesh doctor orders inventory ReserveStock", "a method is written as"],
  ["canary rollback orders", 'There is no command "canary rollback"'],
  ["--colour", "What to do?"],
])('"%s" is wrong use, and said to be', (line, sentence) => {
  expect(() => read(line)).toThrow(sentence);
});

test("canaries are asked of the cluster, for which no shop has to answer", () => {
  for (const line of [
    "canary start orders --image souk/orders:2",
    "canary status",
    "canary abort orders --why so",
  ])
    expect(read(line)).toEqual({ actInCluster: expect.any(Function), json: false });
  expect(read("canary status orders --json --namespace other")).toMatchObject({ json: true });
});

test("the help names every command, and each command has its own", () => {
  for (const { name, operands } of COMMANDS) {
    expect(SOUK_HELP).toContain([name, ...operands].join(" "));
    const { help } = read(`${name} --help`) as { help: string };
    expect(help).toContain(`souk -- ${name}`);
    expect(help).toContain("--json");
  }
  expect(read("--help")).toEqual({ help: SOUK_HELP });
  expect(read("dlq -h")).toEqual({ help: SOUK_HELP });
});

const words: Readonly<Record<string, string>> = {
  DEAD_LETTER_ID: letter,
  SAGA_ID: "saga_01hzy3v8q0e9wb0c1a2d3f4g5h",
  EVENT_ID: "01a1fe7c-a303-754b-a5ea-0187d2617bdb",
  "[SERVICE]": "orders",
  "[COMPARISON]": "all",
};

/** What a command asks the shop for: every call is answered with what its contract says where nothing is set. */
async function askedBy(line: string): Promise<string[]> {
  const asked: string[] = [];
  const ask: Desk["ask"] = async (method) => {
    asked.push(method.name);
    const answer = create(method.output);
    for (const { localName, message, fieldKind } of method.output.fields) {
      if (fieldKind === "message") Object.assign(answer, { [localName]: create(message) });
    }
    return answer;
  };
  const flags = read(line);
  if ("act" in flags) await flags.act({ services: ["orders"], ask });
  return asked;
}

/** What has to be given beside a command's name. */
const needed: Readonly<Record<string, string>> = {
  "saga resolve": "--as compensate --why because",
  "outbox republish": "--since 1h",
  "dlq discard": "--why because",
  "dlq skip": "--consumer inventory_souk_orders_v1 --why because",
};

test("every operators' call that the gateway passes on has a command", async () => {
  const lines = COMMANDS.filter((command) => "prepare" in command).map(({ name, operands }) =>
    [name, ...operands.map((operand) => words[operand]), needed[name]].filter(Boolean).join(" "),
  );
  const asked = (await Promise.all(lines.map(askedBy))).flat();
  const served = [...operatorServices].flatMap(({ methods }) => methods.map(({ name }) => name));
  expect(asked).toEqual(expect.arrayContaining(served));
});

test("a point in time is written with its zone, or as so long ago", () => {
  const nowMs = Date.UTC(2026, 10, 21, 13);
  expect(readTime("2026-11-21T14:00:00+02:00", nowMs)).toEqual(new Date("2026-11-21T12:00:00Z"));
  for (const [text, at] of [
    ["90s", "12:58:30"],
    ["30m", "12:30:00"],
    ["2h", "11:00:00"],
  ]) {
    expect(readTime(text ?? "", nowMs)).toEqual(new Date(`2026-11-21T${at}Z`));
  }
});
