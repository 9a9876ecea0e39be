import { expect, test } from "vitest";
import { Matcher } from "./matcher.ts";
import { parseTemplate } from "./template.ts";

function matcherOf(...templates: string[]): Matcher<string> {
  const matcher = new Matcher<string>();
  for (const text of templates) {
    const [httpMethod = "", path = ""] = text.split(" ");
    matcher.add(httpMethod, parseTemplate(path), text);
  }
  return matcher;
}

test("a search goes back from a literal branch that ends nowhere", () => {
  const matcher = matcherOf("GET /a/b/c", "GET /a/{x}/d", "GET /{y=**}");
  expect(matcher.match("GET", "/a/b/c")?.entry).toBe("GET /a/b/c");
  expect(matcher.match("GET", "/a/b/d")?.entry).toBe("GET /a/{x}/d");
  expect(matcher.match("GET", "/a/b/e")?.entry).toBe("GET /{y=**}");
});

test("the method takes part in the search", () => {
  const matcher = matcherOf("GET /a/b", "POST /a/{x}", "DELETE /{y=**}");
  expect(matcher.match("POST", "/a/b")?.entry).toBe("POST /a/{x}");
  expect(matcher.match("DELETE", "/a/b")?.entry).toBe("DELETE /{y=**}");
  expect(matcher.match("PUT", "/a/b")).toBeUndefined();
});

test("allowed methods are those of every shape that matches", () => {
  const matcher = matcherOf("GET /a/b", "POST /a/{x}", "DELETE /{y=**}", "PUT /a/c");
  expect(matcher.allowed("/a/b")).toEqual(["DELETE", "GET", "HEAD", "OPTIONS", "POST"]);
  expect(matcher.allowed("//a")).toEqual([]);
});

test("a verb takes part in the shape", () => {
  const matcher = matcherOf("POST /a/{x}:go", "POST /a/{x}");
  expect(matcher.match("POST", "/a/b:go")?.segments).toEqual(["a", "b"]);
  expect(matcher.match("POST", "/a/b:stop")?.segments).toEqual(["a", "b:stop"]);
});

test("templates that differ only in variables have one shape", () => {
  const matcher = matcherOf("GET /a/{x}/{y=b/*}");
  expect(matcher.add("GET", parseTemplate("/a/{z=*}/b/{w}"), "other")).toBe("GET /a/{x}/{y=b/*}");
  expect(matcher.add("POST", parseTemplate("/a/*/b/*"), "another method")).toBeUndefined();
});

test("the root is a path without segments", () => {
  const matcher = matcherOf("GET /{x=**}", "POST /{x=**}:go", "GET /a/{x=**}");
  expect(matcher.match("GET", "/")?.segments).toEqual([]);
  expect(matcher.match("POST", "/:go")?.segments).toEqual([]);
  expect(matcher.match("POST", "/a/:go")).toBeUndefined();
  expect(matcher.match("GET", "/a/:go")?.segments).toEqual(["a", ":go"]);
  expect(matcherOf("GET /{x}").match("GET", "/")).toBeUndefined();
});
