import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readStartFlags } from "./flags.ts";

test("without flags the shop lives in .souk at port 8080", () => {
  const flags = { portBase: 8080, dataDir: resolve(".souk"), fresh: false, help: false };
  expect(readStartFlags([], {})).toEqual(flags);
});

test("the environment moves ports and data, and flags win over it", () => {
  const env = { SOUK_PORT_BASE: "9080", SOUK_DATA_DIR: "/tmp/one" };
  expect(readStartFlags([], env)).toMatchObject({ portBase: 9080, dataDir: "/tmp/one" });
  const args = ["--port-base", "10080", "--data-dir=/tmp/two", "--fresh"];
  expect(readStartFlags(args, env)).toMatchObject({ portBase: 10080, dataDir: "/tmp/two", fresh: true });
});

test("variables that are set to nothing count as unset", () => {
  const env = { SOUK_PORT_BASE: "", SOUK_DATA_DIR: "" };
  expect(readStartFlags([], env)).toMatchObject({ portBase: 8080, dataDir: resolve(".souk") });
});

test.each(["80", "65530", "eighty", "8080.5", "-1"])("%s is no port base", (base) => {
  expect(() => readStartFlags([`--port-base=${base}`], {})).toThrow(`not "${base}"`);
});

test.each([[["--prot-base", "9080"]], [["surplus"]]])("%j is refused instead of ignored", (args) => {
  expect(() => readStartFlags(args, {})).toThrow(args[0]);
});
