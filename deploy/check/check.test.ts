import { describe, expect, test } from "vitest";
import { type Check, createReport, runChecks } from "./check.ts";
import { isAnswered } from "./checks/declared-calls.ts";
import { verdictIn } from "./checks/pods-die.ts";
import { isFlawless } from "./checks/rolling-restart.ts";
import { isEven } from "./checks/spread.ts";
import { workloadOf } from "./checks/usage.ts";
import { CHECKS } from "./checks.ts";
import { otherName } from "./cluster/canaries.ts";
import { mebisOf, millisOf } from "./cluster/quantities.ts";
import { readFlags } from "./flags.ts";

const setting = {
  tag: "ci",
  registry: "",
  grpcurlImage: "fullstorydev/grpcurl:v1.9.3",
  chaosMinutes: 5,
  goodCanaries: 3,
  usageRate: 20,
};

test("a check that breaks is a failure, and the next one is tried all the same", async () => {
  const lines: string[] = [];
  const report = createReport((line) => lines.push(line));
  const broken: Check = { name: "broken", run: () => Promise.reject(new Error("no cluster answers")) };
  const whole: Check = {
    name: "whole",
    async run(_, { expect, skip }) {
      expect(true, "calls are answered", "3 of 3");
      skip("calls from outside are answered", "there is no way in");
    },
  };
  await runChecks([broken, whole], setting, report);
  expect(lines).toEqual([
    "FAIL     broken: no cluster answers",
    "PASS     calls are answered: 3 of 3",
    "SKIPPED  calls from outside are answered: there is no way in",
  ]);
  expect(report.counts).toEqual({ PASS: 1, FAIL: 1, SKIPPED: 1 });
});

describe("the command line", () => {
  const names = CHECKS.map(({ name }) => name);

  test("without flags everything is tried with the images that CI builds", () => {
    expect(readFlags([], names)).toEqual({ ...setting, only: [], keep: false, help: false });
  });

  test("names checks, a tag, a registry and a time", () => {
    const args = [
      "--only",
      "eviction,spread",
      "--tag",
      "v1.2.0",
      "--registry",
      "example.com/",
      "--chaos-minutes",
      "0.5",
    ];
    const asked = {
      only: ["eviction", "spread"],
      tag: "v1.2.0",
      registry: "example.com/",
      chaosMinutes: 0.5,
    };
    expect(readFlags(args, names)).toMatchObject(asked);
  });

  test("what it does not know it refuses by name", () => {
    expect(() => readFlags(["--only", "evictions"], names)).toThrow(/no check evictions; there are comes-up/);
    expect(() => readFlags(["--tag", "a b"], names)).toThrow(/--tag/);
    expect(() => readFlags(["--chaos-minutes", "many"], names)).toThrow(/--chaos-minutes/);
    expect(() => readFlags(["--usage-rate", "0"], names)).toThrow(/--usage-rate/);
    expect(() => readFlags(["--good-canaries", "1.5"], names)).toThrow(/--good-canaries/);
    expect(() => readFlags(["--good-canaries", "2.5"], names)).toThrow(/--good-canaries/);
  });
});

test("every check has a name of its own", () => {
  const names = CHECKS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test("amounts are read as Kubernetes writes them", () => {
  expect([millisOf("250m"), millisOf("1"), millisOf("0.5")]).toEqual([250, 1_000, 500]);
  expect([mebisOf("384Mi"), mebisOf("2Gi"), mebisOf("1048576"), mebisOf("512Ki")]).toEqual([
    384, 2_048, 1, 0.5,
  ]);
});

test("shares are even within five points, among four pods", () => {
  expect(isEven([0.2, 0.3, 0.25, 0.25])).toBe(true);
  expect(isEven([0.19, 0.31, 0.25, 0.25])).toBe(false);
  expect(isEven([0.33, 0.33, 0.34])).toBe(false);
});

test("a load without calls has shown nothing", () => {
  const report = { succeeded: 0, failures: [], lastFailedAtMs: 0, slowestMs: 1 };
  expect(isFlawless({ ...report, sent: 3, failed: 0 })).toBe(false);
  expect(isFlawless({ ...report, sent: 300, failed: 0 })).toBe(true);
  expect(isFlawless({ ...report, sent: 300, failed: 1 })).toBe(false);
});

test("a refusal by mesh or network is told from the service's own opinion of a call", () => {
  const grpc = { kind: "grpc", target: "orders:50051" } as const;
  const http = { kind: "http", target: "issuer:8102" } as const;
  const answered = (status: number) => isAnswered(grpc, { status, text: "" });
  // OK, INVALID_ARGUMENT, NOT_FOUND; then no answer, PERMISSION_DENIED, UNIMPLEMENTED, UNAVAILABLE.
  expect([0, 3, 5].map(answered)).toEqual([true, true, true]);
  expect([-1, 7, 12, 14].map(answered)).toEqual([false, false, false, false]);
  expect(isAnswered(http, { status: 400, text: "" })).toBe(true);
  expect([403, 503, -1].map((status) => isAnswered(http, { status, text: "" }))).toEqual([
    false,
    false,
    false,
  ]);
});

test("a pod's name tells its workload", () => {
  const names = ["orders-7d9c5bfb8-x2x5k", "card-processor-0", "postgres-0", "gateway-6b7f9c4d55-abcde"];
  expect(names.map(workloadOf)).toEqual(["orders", "card-processor", "postgres", "gateway"]);
});

test("a good release is the same image under another name: its digest where it was pulled", () => {
  expect(otherName("souk/catalog:ci", `sha256:${"a".repeat(64)}`)).toBe("docker.io/souk/catalog:ci");
  const digest = `@sha256:${"a".repeat(64)}`;
  const repository = "registry.example.com:5000/souk/catalog";
  expect(otherName(`${repository}:v1.2.0`, repository + digest)).toBe(repository + digest);
});

test("of the consistency harness' report a line keeps the verdict, what it rests on, and what broke", () => {
  const report = [
    "**Broken: stock-adds-up.**",
    "- Command: `npm run chaos`",
    "| orders accepted | 500 | 812 |",
    "## Invariants",
    "`stock-adds-up` broke 1 times:",
    "- LAMP-1 has 4 pieces and 5 were left",
    "## Orders",
    "| requests without an answer, asked again | 37 |",
  ].join("\n");
  expect(verdictIn(report)).toBe(
    "Broken: stock-adds-up. 812 orders were accepted (500 asked for), 37 requests asked again; LAMP-1 has 4 pieces and 5 were left",
  );
  expect(verdictIn("connect ECONNREFUSED\n")).toBe("connect ECONNREFUSED");
});
