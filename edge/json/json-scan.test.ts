import fc from "fast-check";
import { expect, test } from "vitest";
import { scanJson } from "./json-scan.ts";

test("no JSON that JSON.stringify writes is refused", () => {
  const values = fc
    .jsonValue({ maxDepth: 6 })
    .filter((value) => !JSON.stringify(value).includes("__proto__"));
  fc.assert(
    fc.property(values, (value) => {
      scanJson(JSON.stringify(value), 100);
      scanJson(JSON.stringify(value, null, 2), 100);
    }),
  );
});

test("a member given twice is found at any place", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.string(), fc.nat(20), (value, key, others) => {
      const name = JSON.stringify(key);
      const members = Array.from({ length: others }, (_, at) => `"other ${at} of ${others}":${at}`);
      const text = `[{${[`${name}:1`, ...members, `${name}:2`].join(",")}},${JSON.stringify(value)}]`;
      expect(() => scanJson(text, 100)).toThrow();
    }),
  );
});

test("quotes behind backslashes do not end a string", () => {
  expect(() => scanJson(String.raw`{"a":"\\","a":1}`, 9)).toThrow("twice");
  expect(() => scanJson(String.raw`{"a":"\",\"a\":1"}`, 9)).not.toThrow();
});

test("the same name in different objects is no repetition", () => {
  expect(() => scanJson('{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":1}}', 9)).not.toThrow();
});

test("long numbers are noticed", () => {
  expect(scanJson('{"a":1234567890123456}', 9).longNumbers).toBe(true);
  expect(scanJson('{"a":123,"b":1.25}', 9).longNumbers).toBe(false);
});
