import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { readUsages } from "../process-usage.ts";

const BUSY = "while (process.cpuUsage().user < 300_000);";

test("a process is measured with its children, those that have ended included", async () => {
  const script = `require("child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(BUSY)}]); console.log("done");`;
  const parent = spawn(process.execPath, ["-e", `${script} setInterval(() => {}, 1000)`], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  await once(parent.stdout, "data");
  const usage = readUsages([parent.pid ?? 0]).get(parent.pid ?? 0);
  const apart = readUsages([process.pid, parent.pid ?? 0]).get(process.pid)?.memoryBytes ?? 0;
  const together = readUsages([process.pid]).get(process.pid)?.memoryBytes ?? 0;
  parent.kill("SIGKILL");
  expect(together - apart).toBeGreaterThan(10_000_000);
  expect(usage?.cpuMs).toBeGreaterThan(290);
  expect(usage?.memoryBytes).toBeGreaterThan(10_000_000);
});

test("a process that has ended is left out", () => {
  expect(readUsages([999_999_999])).toEqual(new Map());
});
