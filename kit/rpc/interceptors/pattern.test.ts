import { globSync } from "node:fs";
import { join } from "node:path";
import { type DescField, type DescFile, type DescMessage, getOption } from "@bufbuild/protobuf";
import { RE2JS } from "@bufbuild/re2";
import { beforeAll, expect, test } from "vitest";
import { field as fieldRules } from "#gen/buf/validate/validate_pb.ts";
import { matchesPattern, runsStraight } from "./pattern.ts";

const root = join(import.meta.dirname, "../../..");
const patterns = new Set<string>();

beforeAll(async () => {
  for (const path of globSync("gen/souk/**/*_pb.ts", { cwd: root })) {
    const generated: Record<string, unknown> = await import(join(root, path));
    for (const desc of Object.values(generated)) if (isFile(desc)) desc.messages.forEach(gather);
  }
});

const isFile = (desc: unknown): desc is DescFile =>
  typeof desc === "object" && desc !== null && "kind" in desc && desc.kind === "file";

function gather({ fields, nestedMessages }: DescMessage) {
  for (const field of fields) for (const pattern of patternsOf(field)) patterns.add(pattern);
  nestedMessages.forEach(gather);
}

function patternsOf(field: DescField): string[] {
  const { type } = getOption(field, fieldRules);
  const own = type.case === "string" ? [type.value.pattern] : [];
  const items = type.case === "repeated" ? type.value.items?.type : undefined;
  return [...own, ...(items?.case === "string" ? [items.value.pattern] : [])].filter(Boolean);
}

const id = "0123456789abcdefghjkmnpqrs";
const texts = [
  "",
  "a",
  "A-1",
  "DE",
  "EUR",
  "EURO",
  "a-b-c",
  "-a",
  "a-",
  " ~",
  "é",
  "tea\nleaves",
  "tea\n",
  "\0",
  "a\u{7f}b",
  "\u202eevil",
  "\u2066",
  "🫖",
  "\ud800",
  "pm_card_visa",
  "2fe3a8f0-0000-7000-8000-0123456789ab",
  "a".repeat(31),
  "a".repeat(32),
  "X".repeat(41),
  "x".repeat(256),
  ...["order", "product", "payment", "shipment", "saga", "letter", "category", "return", "refund"].flatMap(
    (kind) => [`${kind}_${id}`, `${kind}_8${id.slice(1)}`, `${kind}_${id}x`, `${kind}_${id.toUpperCase()}`],
  ),
];

test("of the contracts' patterns nearly all run straight, and both engines say the same", () => {
  expect(patterns.size).toBeGreaterThan(15);
  const others = [...patterns].filter((pattern) => !runsStraight(pattern));
  expect(others.sort()).toEqual([
    "^(category_[0-7][0-9a-hjkmnp-tv-z]{25})?$",
    "^[a-z0-9]+(-[a-z0-9]+){0,9}$",
  ]);
  for (const pattern of patterns) {
    const re2 = RE2JS.compile(pattern);
    for (const text of texts)
      expect([pattern, text, matchesPattern(pattern, text)]).toEqual([pattern, text, re2.test(text)]);
  }
});

test.each([
  "^(a+)+$",
  "^(a|a)*$",
  "^a*a*$",
  "^a?a?a?$",
  "^a{1,9}b*$",
  "a*$",
  "^a*",
  "^a+?$",
  "^.*$",
  "^\\d+$",
  "^[[:alpha:]]$",
  "^a|b$",
  "^(?i)a$",
  "^\\pL$",
])("%s is left to RE2", (pattern) => {
  expect(runsStraight(pattern)).toBe(false);
});

test("a pattern that would run for ages in Node's own engine is answered at once", () => {
  const startedAt = performance.now();
  expect(matchesPattern("^(a|aa)+$", `${"a".repeat(60)}!`)).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test("a text as long as a request may be is answered at once, also by what runs straight", () => {
  const startedAt = performance.now();
  expect(matchesPattern("^[a-z]*[a-z]{99}!$", "a".repeat(262_144))).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test("what is no pattern is an error", () => {
  expect(() => matchesPattern("^[z-a]$", "")).toThrow();
  expect(() => matchesPattern("^(a$", "")).toThrow();
});
