import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { RunOptions } from "./flags.ts";
import type { Conclusion } from "./report/conclude.ts";

const archives = resolve(import.meta.dirname, "../.souk/chaos");

/** Puts everything a failed run can be studied by into one folder: history, logs, rows, report. Returns its path. */
export function archive(
  folder: string,
  options: RunOptions,
  { report, outcome, commit }: Conclusion,
): string {
  const { variant, seed, planted } = options;
  const name = [new Date().toISOString().replaceAll(/[:.]/g, "-"), planted ?? variant, `seed${seed}`].join(
    "-",
  );
  const target = join(archives, name);
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, "report.md"), report);
  writeFileSync(join(target, "run.json"), JSON.stringify({ ...options, commit }, undefined, 2));
  writeFileSync(join(target, "incidents.json"), JSON.stringify(outcome.incidents, undefined, 1));
  mkdirSync(join(target, "rows"));
  for (const [table, rows] of Object.entries(outcome.evidence))
    if (Array.isArray(rows)) writeFileSync(join(target, "rows", `${table}.jsonl`), toLines(rows));
  for (const kept of ["history.jsonl", "shop/logs"])
    cpSync(join(folder, kept), join(target, kept), { recursive: true, force: true });
  return target;
}

const toLines = (rows: readonly unknown[]) =>
  rows
    .map(
      (row) => `${JSON.stringify(row, (_, value) => (typeof value === "bigint" ? String(value) : value))}\n`,
    )
    .join("");
