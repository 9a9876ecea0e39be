import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findBreakingChanges } from "../breaking.ts";
import { outputOf } from "../command.ts";

const BUF = `version: v2
modules:
  - path: proto
breaking:
  use:
    - FILE
`;
const ORDERS = `syntax = "proto3";
package souk.orders.v1;
message Order {
  string order_id = 1;
  string note = 2;
}
`;
const PLACED = `syntax = "proto3";
package souk.orders.v1;
message OrderPlaced {
  string order_id = 1;
}
`;
const ORDERS_PATH = "proto/souk/orders/v1/orders.proto";
const EVENTS_PATH = "proto/souk/orders/v1/events.proto";

let repository: string;
beforeEach(async () => {
  repository = mkdtempSync(join(tmpdir(), "souk-contract-test-"));
  await git("init", "--quiet", "--initial-branch", "main");
});
afterEach(() => rmSync(repository, { recursive: true }));

const git = (...args: string[]) =>
  outputOf("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", ...args], repository);

function write(path: string, text: string) {
  mkdirSync(dirname(join(repository, path)), { recursive: true });
  writeFileSync(join(repository, path), text);
}

async function commit(files: Record<string, string>): Promise<string> {
  for (const [path, text] of Object.entries(files)) write(path, text);
  await git("add", "--all");
  await git("commit", "--quiet", "--allow-empty", "--message", "test");
  return await git("rev-parse", "HEAD");
}

const contract = { "buf.yaml": BUF, [ORDERS_PATH]: ORDERS, [EVENTS_PATH]: PLACED };

test("a branch that adds a field breaks nobody", async () => {
  const base = await commit(contract);
  await git("switch", "--quiet", "--create", "feature");
  await commit({ [ORDERS_PATH]: ORDERS.replace("}", "  string colour = 3;\n}") });
  expect(await findBreakingChanges(repository)).toEqual({
    faults: [],
    note: `against ${base}, where HEAD left main`,
  });
});

test("a branch that removes a field is told which", async () => {
  await commit(contract);
  await git("switch", "--quiet", "--create", "feature");
  await commit({ [ORDERS_PATH]: ORDERS.replace("  string note = 2;\n", "") });
  const { faults } = await findBreakingChanges(repository);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(/souk\/orders\/v1\/orders\.proto:3:1:.*"note" on message "Order" was deleted/);
});

test("a change that is not committed yet is seen", async () => {
  await commit(contract);
  await git("switch", "--quiet", "--create", "feature");
  await commit({});
  write(EVENTS_PATH, PLACED.replace("string order_id", "int64 order_id"));
  const { faults } = await findBreakingChanges(repository);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toContain('changed type from "string" to "int64"');
});

test("a file of events that goes is missed, whatever other modules came meanwhile", async () => {
  await commit(contract);
  await git("switch", "--quiet", "--create", "feature");
  rmSync(join(repository, EVENTS_PATH));
  await commit({
    "buf.yaml": BUF.replace("  - path: proto\n", "  - path: proto\n  - path: more\n"),
    "more/more.proto": 'syntax = "proto3";\npackage more;\n',
  });
  const { faults } = await findBreakingChanges(repository);
  expect(faults.join()).toContain('"souk/orders/v1/events.proto" was deleted');
});

test("main is compared with its commit before", async () => {
  const first = await commit(contract);
  await commit({ [ORDERS_PATH]: ORDERS.replace("note = 2", "note = 3") });
  const { faults, note } = await findBreakingChanges(repository);
  expect(faults.join()).toContain('field "2" with name "note" on message "Order" was deleted');
  expect(note).toBe(`against ${first}, the commit before HEAD, which main has`);
});

test("where nothing came before, that is said", async () => {
  expect(await findBreakingChanges(repository)).toEqual({
    faults: [],
    note: "nothing to compare with: the repository has no commit",
  });
  const first = await commit({ "buf.yaml": BUF });
  expect(await findBreakingChanges(repository)).toMatchObject({
    note: "nothing to compare with: HEAD is the first commit",
  });
  await commit(contract);
  expect(await findBreakingChanges(repository)).toMatchObject({
    note: `nothing to compare with: no contract in ${first}`,
  });
  await git("branch", "--move", "trunk");
  expect(await findBreakingChanges(repository)).toMatchObject({
    note: "nothing to compare with: no branch main shares history with HEAD",
  });
});

test("callers of a release count too, if it is named", async () => {
  const released = await commit(contract);
  await git("tag", "v1");
  await commit({ [EVENTS_PATH]: PLACED.replace("  string order_id = 1;\n", "") });
  await commit({ "note.md": "nothing" });
  const { faults, note } = await findBreakingChanges(repository, "v1");
  expect(faults.join()).toMatch(/order_id/);
  expect(note).toContain(released);
  expect((await findBreakingChanges(repository)).faults).toEqual([]);
  await expect(findBreakingChanges(repository, "v2")).rejects.toThrow("v2 is no commit");
});
