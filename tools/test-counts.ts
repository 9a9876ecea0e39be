// Prints how a test run ended, from the file that vitest's JSON reporter wrote: `412 passed, 0 failed, 3 skipped`.
// `node tools/test-counts.ts report.json`; `.ci/run` ends with it.

import { readFileSync } from "node:fs";

/** What is read of a report. */
export type TestReport = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: readonly { status: string; assertionResults: readonly { status: string }[] }[];
};

/** The closing line. A file that failed without a failed test (it does not load, its set-up fails) counts as one. */
export function countsLine(report: TestReport): string {
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  );
  const failed = report.numFailedTests + brokenFiles.length;
  const skipped = report.numPendingTests + report.numTodoTests;
  return `${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
}

if (import.meta.main) console.log(countsLine(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"))));
