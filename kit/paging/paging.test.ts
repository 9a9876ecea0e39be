import fc from "fast-check";
import { expect, test } from "vitest";
import { cutPage, parsePageToken, toPageToken } from "./paging.ts";

const anything = /^/;
const refused = expect.objectContaining({ reason: "PAGE_TOKEN_INVALID" });

test("a token leads back to the key it was made from", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { maxLength: 4 }),
      fc.array(fc.string(), { maxLength: 3 }),
      (scope, key) => {
        const shape = key.map(() => anything);
        expect(parsePageToken(scope, toPageToken(scope, key), shape)).toEqual(key);
      },
    ),
  );
});

test("the empty token is the first page", () => {
  expect(parsePageToken(["ListStock"], "", [anything])).toBeUndefined();
});

test("a token of another list, or of other filters, is refused", () => {
  const token = toPageToken(["ListProducts", "tea"], ["1"]);
  expect(() => parsePageToken(["ListProducts", "coffee"], token, [anything])).toThrow(refused);
  expect(() => parsePageToken(["SearchProducts", "tea"], token, [anything])).toThrow(refused);
});

test("a token with a key of another form is refused, though its list is right", () => {
  const scope = ["ListProducts"];
  expect(() => parsePageToken(scope, toPageToken(scope, ["\u0000'; drop"]), [/^[a-z]+$/])).toThrow(refused);
  expect(() => parsePageToken(scope, toPageToken(scope, ["a", "b"]), [/^[a-z]+$/])).toThrow(refused);
  expect(() => parsePageToken(scope, toPageToken(scope, []), [/^[a-z]+$/])).toThrow(refused);
});

test("whatever a caller makes up is refused, and never a fault", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (forged) => {
      expect(() => parsePageToken(["ListStock"], forged, [anything])).toThrow(refused);
    }),
  );
  for (const json of ["{}", "null", "[1]", "[[]]", '["x"]', '{"length":2}']) {
    const forged = Buffer.from(json).toString("base64url");
    expect(() => parsePageToken(["ListStock"], forged, [anything])).toThrow(refused);
  }
});

test("the row beyond the page tells that there is a next one", () => {
  expect(cutPage([1, 2, 3], 2)).toEqual({ items: [1, 2], last: 2 });
  expect(cutPage([1, 2], 2)).toEqual({ items: [1, 2], last: undefined });
  expect(cutPage([], 2)).toEqual({ items: [], last: undefined });
});
