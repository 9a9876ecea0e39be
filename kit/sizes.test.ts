import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** In lines. No function has more than 70 and no file more than 300, which Biome sees to. */
const limits = { functionMedian: 12, fileMedian: 100 };
/** How long nine functions of ten may be at most. */
const areas = [
  ["services", 30],
  ["kit", 40],
  ["edge", 40],
] as const;

const isFunction = /^(?:export )?(?:(?:async )?function\b|const \w+(?:: [^=]+)? = (?:async )?[<(].*=>)/s;

/** How long the functions of a module are. In formatted code each thing of a module begins at the margin, and only its end does so too. */
function functionLines(text: string): number[] {
  const lines = text.split("\n");
  const heads = lines.flatMap((line, at) => (/^[^\s})\]]/.test(line) ? [at] : []));
  return heads.flatMap((at, index) => {
    const block = lines
      .slice(at, heads[index + 1])
      .join("\n")
      .trimEnd();
    return isFunction.test(block) ? [block.split("\n").length] : [];
  });
}

/** The value below which this share of all lies. */
const percentile = (values: readonly number[], share: number) =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? 0;

function measure(texts: readonly string[]) {
  const functions = texts.flatMap(functionLines);
  return {
    functionMedian: percentile(functions, 0.5),
    functionP90: percentile(functions, 0.9),
    fileMedian: percentile(
      texts.map((text) => text.split("\n").length - 1),
      0.5,
    ),
  };
}

describe("code stays small:", () => {
  it.each(areas)("%s, where nine functions of ten have at most %i lines", (folder, longestMost) => {
    const paths = globSync(`${folder}/**/*.ts`, {
      cwd: root,
      exclude: ["**/*.test.ts", "**/tests/**", "**/node_modules/**"],
    });
    expect(paths.length).toBeGreaterThan(50);
    const found = measure(paths.map((path) => readFileSync(join(root, path), "utf8")));
    expect(found.functionP90).toBeLessThanOrEqual(longestMost);
    expect(found.functionMedian).toBeLessThanOrEqual(limits.functionMedian);
    expect(found.fileMedian).toBeLessThanOrEqual(limits.fileMedian);
  });

  it("long functions are counted whole, whatever they look like", () => {
    const body = Array.from({ length: 20 }, () => "  work();\n");
    body.splice(10, 0, "\n");
    const long = body.join("");
    const text = [
      `export async function first(\n  one: string,\n): Promise<void> {\n${long}}\n`,
      `/** Says what it is. */\nconst second = (value: number) => {\n${long}};\n`,
      `const third = (value: number) => value;\nconst none = (1 + 1) * 2;\n`,
    ].join("\n");
    expect(functionLines(text)).toEqual([25, 23, 1]);
    expect(measure([text, text])).toMatchObject({ functionMedian: 23, functionP90: 25 });
  });
});
