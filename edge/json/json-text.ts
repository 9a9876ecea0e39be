import type { JsonValue } from "@bufbuild/protobuf";

/** Writes JSON; a negative zero keeps its sign, which JSON.stringify would drop. */
export function jsonText(value: JsonValue): string {
  return holdsNegativeZero(value) ? JSON.stringify(value, keepSign) : JSON.stringify(value);
}

// Newer than the types of the language.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };
const negativeZero = rawJSON("-0");

function keepSign(_name: string, value: unknown): unknown {
  return Object.is(value, -0) ? negativeZero : value;
}

function holdsNegativeZero(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return Object.is(value, -0);
  if (Array.isArray(value)) return value.some(holdsNegativeZero);
  for (const name in value) if (holdsNegativeZero(value[name] as JsonValue)) return true;
  return false;
}
