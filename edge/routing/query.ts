import type { DescMessage } from "@bufbuild/protobuf";
import { badRequest, type EdgeError } from "../edge-error.ts";
import {
  type FieldPath,
  type Fields,
  holderOf,
  putIn,
  putWellKnown,
  resolveFieldPath,
  valueIn,
} from "./field-path.ts";
import { type TextParser, textParserFor } from "./scalar-text.ts";

/** What a route lets the query say. */
export interface QueryRules {
  readonly input: DescMessage;
  /** False with body `*`: then the query binds nothing (Q1). */
  readonly binds: boolean;
  /** Proto paths bound by the path. */
  readonly pathBound: ReadonlySet<string>;
  /** Name of the top-level field the body fills, or empty. */
  readonly bodyField: string;
  /** Names taken and forgotten where they are no fields; a trailing `*` is a prefix. */
  readonly ignored: readonly string[];
}

/** Reads a raw query string into a message. */
export type QueryReader = (query: string, message: Fields, oneofs: Map<string, string>) => void;

interface Target {
  readonly path: FieldPath;
  readonly parse: TextParser;
}

// Names are finite but for recursive messages, whose paths a caller could invent without end.
const maxRemembered = 200;

/** Compiles a route's query mapping (rules Q1 to Q13); the reader throws {@link EdgeError}s. */
export function createQueryReader(rules: QueryRules): QueryReader {
  const targets = new Map<string, Target>();
  return (query, message, oneofs) => {
    const seen = new Set<string>();
    for (const pair of query.split("&")) {
      if (pair === "") continue;
      const equals = pair.indexOf("=");
      const name = decode(equals === -1 ? pair : pair.slice(0, equals));
      let target = targets.get(name);
      if (target === undefined) {
        target = resolveTarget(rules, name);
        if (target === undefined) continue;
        if (targets.size < maxRemembered) targets.set(name, target);
      }
      assign(target, equals === -1 ? "" : decode(pair.slice(equals + 1), name), message, seen, oneofs);
    }
  };
}

function decode(text: string, field?: string): string {
  try {
    return decodeURIComponent(text.includes("+") ? text.replaceAll("+", " ") : text);
  } catch {
    throw badRequest("INVALID_QUERY", "the query holds a broken escape", field);
  }
}

function isIgnored(name: string, ignored: readonly string[]): boolean {
  return ignored.some((entry) =>
    entry.endsWith("*") ? name.startsWith(entry.slice(0, -1)) : name === entry,
  );
}

/** The field a name means; undefined for one that is no field and to be forgotten (Q10). */
function resolveTarget(rules: QueryRules, name: string): Target | undefined {
  const path = rules.binds ? resolveFieldPath(rules.input, name.split("."), true) : "unknown";
  if (path === "unknown") {
    if (isIgnored(name, rules.ignored)) return undefined;
    throw badRequest("UNKNOWN_QUERY_PARAMETER", "the query names no field of the request", name);
  }
  if (path === "not-steppable") throw notInQuery(name);
  const first = path.parents[0] ?? path.leaf;
  if (first.name === rules.bodyField) {
    throw badRequest("FIELD_BOUND_BY_BODY", "this field comes from the body", path.jsonPath);
  }
  if (rules.pathBound.has(path.protoPath)) {
    throw badRequest("FIELD_BOUND_BY_PATH", "this field comes from the path", path.jsonPath);
  }
  const parse = textParserFor(path.leaf);
  if (parse === undefined) throw notInQuery(path.jsonPath);
  return { path, parse };
}

function notInQuery(field: string): EdgeError {
  return badRequest("NOT_A_QUERY_FIELD", "this field has no text form; only a body can carry it", field);
}

function assign(
  { path, parse }: Target,
  text: string,
  message: Fields,
  seen: Set<string>,
  oneofs: Map<string, string>,
): void {
  claimOneofs(path, oneofs);
  const value = parseField(parse, text, path.jsonPath);
  if (path.leaf.fieldKind === "list") {
    const list = valueIn(holderOf(message, path.parents), path.leaf) as unknown[];
    list.push(value);
    return;
  }
  if (seen.has(path.protoPath)) {
    throw badRequest("DUPLICATE_QUERY_PARAMETER", "this field takes one value", path.jsonPath);
  }
  seen.add(path.protoPath);
  putLeaf(path, message, value);
}

/** Parses a field's text, naming the field when it cannot. */
export function parseField(parse: TextParser, text: string, jsonPath: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw badRequest("INVALID_VALUE", (error as Error).message, jsonPath);
  }
}

/** Refuses a second member of one oneof (Q9), from wherever the first came. */
export function claimOneofs(path: FieldPath, oneofs: Map<string, string>): void {
  for (const { key, member } of path.oneofs) {
    const chosen = oneofs.get(key);
    if (chosen !== undefined && chosen !== member) {
      throw badRequest("ONEOF_SET_TWICE", `${chosen} and ${member} exclude each other`, path.jsonPath);
    }
    oneofs.set(key, member);
  }
}

/** Sets a singular leaf, scalar or well-known. */
export function putLeaf(path: FieldPath, message: Fields, value: unknown): void {
  const holder = holderOf(message, path.parents);
  if (path.leaf.fieldKind === "message") {
    putWellKnown(holder, path.leaf, value as Fields);
  } else {
    putIn(holder, path.leaf, value);
  }
}
