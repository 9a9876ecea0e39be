import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const execute = promisify(execFile);
const COMMANDS = ["order.ts", "token.ts", "top.ts"];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-commands-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(command: string, ...args: string[]) {
  const path = join(import.meta.dirname, "..", command);
  const answer = await execute(process.execPath, [path, ...args], { timeout: 20_000 }).catch(
    (error) => error,
  );
  return { code: answer.code ?? 0, stdout: String(answer.stdout), stderr: String(answer.stderr) };
}

describe.each(COMMANDS)("%s", (command) => {
  test("says that no shop runs, and what to type", async () => {
    const { code, stdout, stderr } = await run(command, "--data-dir", folder);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain(`No shop is ready in ${folder}. Start one in another terminal with "npm start"`);
    expect(stderr).not.toContain("    at ");
  });

  test("does not believe the file of a shop whose supervisor is dead", async () => {
    const stale = join(folder, "stale");
    await execute("mkdir", ["-p", stale]);
    const supervisor = { pid: 999_999_999, identity: "long ago" };
    writeFileSync(join(stale, "ports.json"), JSON.stringify({ supervisor }));
    expect(await run(command, "--data-dir", stale)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("No shop is ready"),
    });
  });

  test("explains itself, and refuses a flag it does not know", async () => {
    expect(await run(command, "--help")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("--data-dir"),
    });
    const { code, stderr } = await run(command, "--cuont", "3");
    expect(code).toBe(2);
    expect(stderr).toContain("--cuont");
  });
});

test("npm start explains itself, and refuses a flag it does not know", async () => {
  expect(await run("start/main.ts", "--help")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("--fresh"),
  });
  expect(await run("start/main.ts", "--frehs")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--frehs"),
  });
});

test("npm run souk says that no shop runs, and refuses a command it does not know", async () => {
  expect(await run("souk.ts", "dlq", "list", "--data-dir", folder)).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("No shop is ready"),
  });
  expect(await run("souk.ts", "dlq", "burn")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no command "dlq burn"'),
  });
});
