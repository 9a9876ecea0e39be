import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { badRequest, type EdgeError } from "../edge-error.ts";
import { fieldNamed, isWellKnown } from "../routing/field-path.ts";

interface ReadOptions {
  readonly registry: Registry;
  readonly recursionLimit: number;
}

interface Fault {
  readonly path: string;
  readonly reason: string;
  readonly text: string;
}

// Each level re-reads what lies below it; deeper faults are named by the member that holds them.
const maxNamedDepth = 16;

/** Finds which member made a read fail, by reading members one at a time, and says so as an error (400). */
export function diagnose(
  desc: DescMessage,
  value: JsonValue,
  options: ReadOptions,
  thrown: Error,
): EdgeError {
  const fault = faultOf(desc, value, options, "", 0) ?? {
    path: "",
    reason: "INVALID_VALUE",
    text: readable(thrown),
  };
  return badRequest(fault.reason, fault.text, fault.path === "" ? undefined : fault.path);
}

function faultOf(
  desc: DescMessage,
  value: JsonValue,
  options: ReadOptions,
  path: string,
  depth: number,
): Fault | undefined {
  const error = attempt(desc, value, options);
  if (error === undefined) return undefined;
  const here = { path, reason: "INVALID_VALUE", text: readable(error) };
  if (isWellKnown(desc) || !isObject(value) || depth >= maxNamedDepth) return here;
  const seen = new Map<DescField, string>();
  for (const [key, member] of Object.entries(value)) {
    const at = path === "" ? key : `${path}.${key}`;
    const field = fieldNamed(desc, key, true);
    if (field === undefined) {
      if (attempt(desc, { [key]: member }, options) !== undefined) {
        return { path: at, reason: "UNKNOWN_MEMBER", text: "the contract has no such member" };
      }
      continue;
    }
    if (seen.has(field)) {
      return { path: at, reason: "DUPLICATE_MEMBER", text: `the member is given as ${seen.get(field)} too` };
    }
    seen.set(field, key);
    const below = faultOfField(desc, field, key, member, options, at, depth);
    if (below !== undefined) return below;
  }
  return here;
}

function faultOfField(
  desc: DescMessage,
  field: DescField,
  key: string,
  member: JsonValue,
  options: ReadOptions,
  path: string,
  depth: number,
): Fault | undefined {
  const error = attempt(desc, { [key]: member }, options);
  if (error === undefined) return undefined;
  if (field.fieldKind === "list" && Array.isArray(member)) {
    return firstFault(
      member.map((item, at) => [`${path}[${at}]`, item]),
      field,
      key,
      (item) => [item],
    );
  }
  if (field.fieldKind === "map" && isObject(member)) {
    const entries = Object.entries(member).map(([name, item]): [string, JsonValue, string] => [
      `${path}.${name}`,
      item,
      name,
    ]);
    return firstFault(entries, field, key, (item, name) => ({ [name]: item }));
  }
  return belowOrHere(field, member, path, error);

  function firstFault(
    entries: readonly (readonly [string, JsonValue, string?])[],
    of: DescField,
    name: string,
    wrap: (item: JsonValue, key: string) => JsonValue,
  ): Fault | undefined {
    for (const [at, item, itemKey] of entries) {
      const failed = attempt(desc, { [name]: wrap(item, itemKey ?? "") }, options);
      if (failed !== undefined) return belowOrHere(of, item, at, failed);
    }
    return { path, reason: "INVALID_VALUE", text: readable(error as Error) };
  }

  function belowOrHere(of: DescField, item: JsonValue, at: string, failed: Error): Fault {
    const below = of.message === undefined ? undefined : faultOf(of.message, item, options, at, depth + 1);
    return below ?? { path: at, reason: "INVALID_VALUE", text: readable(failed) };
  }
}

function attempt(desc: DescMessage, value: JsonValue, options: ReadOptions): Error | undefined {
  try {
    fromJson(desc, value, options);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** Where protobuf-es says no more than what it was given. */
const onlyValue = /^(?:null|true|false|-?\d[\d.e+-]*|"[\s\S]*"|Array\(\d+\)|object)$/;

/** What protobuf-es says, without the names of its own and without long echoes of the input. */
function readable(error: Error): string {
  const text = error.message.replace(/^cannot decode (?:message|field) \S+ from JSON:?\s*/, "");
  return (onlyValue.test(text) ? `this takes no ${text.replace(/^Array.*/, "list")}` : text).slice(0, 160);
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
