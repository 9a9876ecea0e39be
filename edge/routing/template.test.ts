import { expect, test } from "vitest";
import { parseTemplate } from "./template.ts";

test.each([
  ["T1 no slash first", "v1/x"],
  ["T1 the root", "/"],
  ["T1 nothing", ""],
  ["T1 an empty segment", "/v1//x"],
  ["T1 a trailing slash", "/v1/x/"],
  ["T2 a space", "/v1/a b"],
  ["T2 a broken escape", "/v1/%zz"],
  ["T2 a cut escape", "/v1/%a"],
  ["T2 a reserved character", "/v1/a$b"],
  ["T3 a star inside a literal", "/v1/x*"],
  ["T3 three stars", "/v1/***"],
  ["T3 text after a variable", "/v1/{a}b"],
  ["T3 text before a variable", "/v1/b{a}"],
  ["T4 a segment after **", "/v1/**/x"],
  ["T4 a segment after a variable that ends in **", "/v1/{a=**}/x"],
  ["T4 ** inside a variable", "/v1/{a=**/x}"],
  ["T5 a variable in a variable", "/v1/{a={b}}"],
  ["T6 an empty pattern", "/v1/{a=}"],
  ["T7 the same variable twice", "/v1/{a}/{a}"],
  ["T8 an empty verb", "/v1/x:"],
  ["T8 a colon in a verb", "/v1/x:a:b"],
  ["T8 a slash in a verb", "/v1/x:a/b"],
  ["T9 an empty field path", "/v1/{}"],
  ["T9 an empty step", "/v1/{a..b}"],
  ["T9 a step that is no name", "/v1/{1a}"],
  ["an open brace", "/v1/{a"],
  ["a closing brace alone", "/v1/a}"],
  ["a pattern with a leading slash", "/v1/{a=/x}"],
])("a template is refused for %s", (_what, text) => {
  expect(() => parseTemplate(text)).toThrow();
});

test("a variable without a pattern binds one segment", () => {
  expect(parseTemplate("/v1/{a}")).toEqual(parseTemplate("/v1/{a=*}"));
});

test("variables know the segments they bind", () => {
  const { segments, variables, verb } = parseTemplate("/v1/{a.b=x/*}/{c=y/**}:go");
  expect(segments).toEqual(["v1", "x", "*", "y", "**"]);
  expect(variables).toEqual([
    { fieldPath: ["a", "b"], start: 1, end: 3, multi: true },
    { fieldPath: ["c"], start: 3, end: undefined, multi: true },
  ]);
  expect(verb).toBe("go");
});

test("escapes are kept in one case of hex", () => {
  expect(parseTemplate("/v1/caf%c3%a9").segments).toEqual(["v1", "caf%C3%A9"]);
});
