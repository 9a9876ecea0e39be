import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonSplitter } from "./json-splitter.ts";

/** The values of a text that arrives in pieces cut at these places. */
function split(text: string, cuts: readonly number[] = []): string[] {
  const bytes = Buffer.from(text);
  const splitter = new JsonSplitter(10_000);
  const values: string[] = [];
  const onValue = (value: Buffer) => values.push(value.toString());
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const place of places) {
    splitter.push(bytes.subarray(from, place), onValue);
    from = place;
  }
  splitter.end(onValue);
  return values;
}

const values = fc.array(
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  { maxLength: 6 },
);
const cuts = fc.array(fc.nat(), { maxLength: 8 });
const space = fc.constantFrom(" ", "\n", "\r\n", "\t ");

test("an array's elements come out as they went in, wherever the text is cut", () => {
  fc.assert(
    fc.property(values, space, cuts, (texts, gap, places) => {
      expect(split(`${gap}[${gap}${texts.join(`${gap},${gap}`)}${gap}]${gap}`, places)).toEqual(texts);
    }),
  );
});

test("values behind each other come out as they went in", () => {
  fc.assert(
    fc.property(values, space, cuts, (texts, gap, places) => {
      fc.pre(texts[0]?.startsWith("[") !== true);
      expect(split(texts.map((text) => text + gap).join(""), places)).toEqual(texts);
    }),
  );
});

test("objects need nothing between them", () => {
  expect(split('{"a":"}"}{"b":"\\"{"}\n{}')).toEqual(['{"a":"}"}', '{"b":"\\"{"}', "{}"]);
});

test("nothing is no value", () => {
  expect(split("")).toEqual([]);
  expect(split(" \n ")).toEqual([]);
  expect(split("[ ]")).toEqual([]);
});

test.each([
  ["a cut object", '{"a":'],
  ["a cut string", '"a'],
  ["an array that does not end", "[1"],
  ["an array that ends with a comma", "[1,]"],
  ["an array of a comma", "[,]"],
  ["two values without a comma", "[1 2]"],
  ["a value behind the array", "[1] 2"],
  ["a comma between values", "{},{}"],
  ["a closing brace", "}"],
])("%s is refused", (_what, text) => {
  expect(() => split(text)).toThrow(expect.objectContaining({ reason: "INVALID_JSON" }));
});

test("a value longer than the limit is refused before it is whole", () => {
  const splitter = new JsonSplitter(10);
  expect(() => splitter.push(Buffer.from('{"a":"aaaaaaaaa'), () => undefined)).toThrow("larger");
  const others = new JsonSplitter(10);
  others.push(Buffer.from('{"a":1}'.repeat(100)), () => undefined);
  others.end(() => undefined);
});
