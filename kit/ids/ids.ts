// Ids that say what they name and sort by when they were made: TypeIDs (`order_01h…`) over UUIDv7. Made by whoever
// creates the thing, without asking anyone; unique without coordination.
import { randomUUIDv7 } from "node:crypto";
import { fromUUID } from "typeid-js";

/** A new id of the kind `prefix`, at most 63 lower-case letters and underscores: `newId("order")` → `order_01h…`. */
export function newId(prefix: string): string {
  return fromUUID(newUuid(), prefix);
}

// Within a millisecond a counter orders them, in the 26 bits behind the time (RFC 9562, 6.2, method 1). It begins anywhere in
// its lower quarter, so a process can make 50 million ids before a clock that stands still, or is set back by less
// than the second that is waited out, would overflow it. A clock set back further takes the ids' order with it.
const clockSetBackMs = 1_000;
let lastMs = 0;
let timePart = "";
let counter = 0;

/**
 * A new UUIDv7, for what is named by no prefix: ids of events. Sorts behind every id this process made before, also
 * within one millisecond; ids of different processes sort by the millisecond.
 */
export function newUuid(): string {
  const random = randomUUIDv7();
  const nowMs = Date.now();
  if (nowMs > lastMs || nowMs < lastMs - clockSetBackMs) {
    lastMs = nowMs;
    timePart = toTimePart(nowMs);
    counter = Number.parseInt(random.slice(15, 18) + random.slice(20, 23), 16);
  } else counter += 1;
  const high = (counter >>> 14).toString(16).padStart(3, "0");
  const low = (0x8000 | (counter & 0x3fff)).toString(16);
  return `${timePart}-7${high}-${low}${random.slice(23)}`;
}

/** The lowest id of that kind that can be made at a time: whatever is made from then on sorts behind it. */
export function lowestId(prefix: string, at: Date): string {
  return fromUUID(`${toTimePart(at.getTime())}-7000-8000-000000000000`, prefix);
}

function toTimePart(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

// Base 32 without i, l, o, u; the first of 26 digits holds only three bits.
const suffix = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether the text is spelled like an id of that kind; says nothing about whether the thing exists. */
export function isId(prefix: string, text: string): boolean {
  return text.startsWith(`${prefix}_`) && suffix.test(text.slice(prefix.length + 1));
}
