import { expect, test } from "vitest";
import { countsLine } from "./test-counts.ts";

const passed = { status: "passed" };
const failed = { status: "failed" };

test("passed, failed and skipped tests are counted", () => {
  const report = {
    numPassedTests: 2,
    numFailedTests: 1,
    numPendingTests: 3,
    numTodoTests: 1,
    testResults: [{ status: "failed", assertionResults: [passed, passed, failed] }],
  };
  expect(countsLine(report)).toBe("2 passed, 1 failed, 4 skipped");
});

test("a file that does not even load counts as a failure", () => {
  const report = {
    numPassedTests: 1,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [
      { status: "passed", assertionResults: [passed] },
      { status: "failed", assertionResults: [] },
    ],
  };
  expect(countsLine(report)).toBe("1 passed, 1 failed, 0 skipped");
});
