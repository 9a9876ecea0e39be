// Ids that say what they name and sort by when they were made: TypeIDs (`order_01h…`) over UUIDv7. Made by whoever
// creates the thing, without asking anyone; unique without coordination.
import { randomUUIDv7 } from "node:crypto";
import { fromUUID } from "typeid-js";

/** A new id of the kind `prefix`, at most 63 lower-case letters and underscores: `newId("order")` → `order_01h…`. */
export function newId(prefix: string): string {
  return fromUUID(randomUUIDv7(), prefix);
}

/** A new UUIDv7, for what is named by no prefix: ids of events. */
export function newUuid(): string {
  return randomUUIDv7();
}

/** The lowest id of that kind that can be made at a time: whatever is made from then on sorts behind it. */
export function lowestId(prefix: string, at: Date): string {
  const milliseconds = at.getTime().toString(16).padStart(12, "0");
  return fromUUID(`${milliseconds.slice(0, 8)}-${milliseconds.slice(8)}-7000-8000-000000000000`, prefix);
}

// Base 32 without i, l, o, u; the first of 26 digits holds only three bits.
const suffix = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether the text is spelled like an id of that kind; says nothing about whether the thing exists. */
export function isId(prefix: string, text: string): boolean {
  return text.startsWith(`${prefix}_`) && suffix.test(text.slice(prefix.length + 1));
}
