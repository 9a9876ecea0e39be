import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** A row of a page that says which test proves it. */
interface Proof {
  readonly subject: string;
  readonly path: string;
  /** Of the groups around a test, and its own, from the outside in. */
  readonly titles: readonly string[];
}

function proofsIn(text: string): Proof[] {
  const rows = text.matchAll(/^\| `?(\w+)`? \| [^|]+ \| \[(\S+)\]\(\S+\): ([^|]+) \|$/gm);
  return Array.from(rows, ([, subject = "", path = "", titles = ""]) => {
    return { subject, path, titles: titles.split(" > ") };
  });
}

/** Titles of the tests of a file that run, each with those of the groups around it. */
function titlesIn(code: string): string[] {
  const found = code.matchAll(
    /^( *)(?:test|it|describe)(?:\.each\b[\s\S]*?\)\(|\()\s*("(?:[^"\\\n]|\\.)*")/gm,
  );
  const around: { readonly depth: number; readonly title: string }[] = [];
  return Array.from(found, ([, indent = "", title = ""]) => {
    while ((around.at(-1)?.depth ?? -1) >= indent.length) around.pop();
    around.push({ depth: indent.length, title: JSON.parse(title) as string });
    return around.map((one) => one.title).join(" > ");
  });
}

const isProven = ({ titles }: Proof, code: string) => {
  const whole = titles.join(" > ");
  return titlesIn(code).some((title) => title === whole || title.endsWith(` > ${whole}`));
};

describe("docs/failure-modes.md", () => {
  const text = read("docs/failure-modes.md");
  const proofs = proofsIn(text);

  it("has a test for each of the 16 modes, and reads every row", () => {
    const modes = new Set(proofs.map(({ subject }) => Number(subject)));
    expect([...modes]).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
    expect(proofs).toHaveLength(text.match(/^\| \d/gm)?.length ?? 0);
  });

  it.each(proofs)("names a test there is: $path, $titles", (proof) => {
    expect(isProven(proof, read(proof.path))).toBe(true);
  });
});

describe("docs/idempotency.md", () => {
  const text = read("docs/idempotency.md");
  const proofs = proofsIn(text);
  const named = (page: string) => proofsIn(page).map(({ subject }) => subject);
  const contract = globSync("proto/souk/*/v1/*.proto", { cwd: root }).map(read).join("\n");
  const keyed = Array.from(contract.matchAll(/^ {2}rpc (\w+)\([\s\S]*?^ {2}\}/gm))
    .filter(([declaration]) => declaration.includes("idempotency_key_required: true"))
    .map(([, name = ""]) => name);

  it("says of each command with a key what stands in its way after a day, and reads every row", () => {
    expect(keyed.length).toBeGreaterThan(20);
    expect(named(text).sort()).toEqual(keyed.sort());
    expect(proofs).toHaveLength(text.match(/^\| `/gm)?.length ?? 0);
  });

  it("that leaves a command out is caught", () => {
    expect(named(text.replace(/^\| `CreateRefund`.*\n/m, "")).sort()).not.toEqual(keyed.sort());
  });

  it.each(proofs)("names a test there is: $subject, $titles", (proof) => {
    expect(isProven(proof, read(proof.path))).toBe(true);
  });
});

it("a page that names a test which is gone, elsewhere or skipped is caught", () => {
  const code = [
    'describe("a saga", () => {',
    '  test.each([["a", 1]])("ends %s", () => {});',
    '  test.skip("waits", () => {});',
    "});",
    'test("alone", () => {});',
  ].join("\n");
  const proven = (...titles: string[]) => isProven({ subject: "1", path: "", titles }, code);
  expect([proven("a saga", "ends %s"), proven("ends %s"), proven("alone")]).toEqual([true, true, true]);
  expect([proven("a saga", "waits"), proven("a saga", "alone"), proven("ends")]).toEqual([
    false,
    false,
    false,
  ]);
});
