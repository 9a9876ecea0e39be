// Ids that say what they name and sort by when they were made: TypeIDs (`order_01h…`) over UUIDv7. Made by whoever
// creates the thing, without asking anyone; unique without coordination.
import { randomBytes } from "node:crypto";
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
  const nowMs = Date.now();
  if (nowMs > lastMs || nowMs < lastMs - clockSetBackMs) {
    lastMs = nowMs;
    timePart = toTimePart(nowMs);
    counter = Number.parseInt(drawDigits(6), 16);
  } else counter += 1;
  // Twelve bits of the counter behind the version, fourteen behind the variant's two.
  const high = hex(counter >>> 22).slice(1) + hex((counter >>> 14) & 0xff);
  const low = hex(0x80 | ((counter >>> 8) & 0x3f)) + hex(counter & 0xff);
  return `${timePart}-7${high}-${low}-${drawDigits(12)}`;
}

const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hex = (byte: number) => hexBytes[byte] as string;

// The system is asked for many at once, since asking costs more than the bytes do.
const digitsDrawn = 4_096;
let randomDigits = "";
let digitsAt = 0;

/** Random hexadecimal digits, at most 12: so few are a text of their own, and keep no other alive. */
function drawDigits(count: number): string {
  if (digitsAt + count > randomDigits.length) {
    randomDigits = randomBytes(digitsDrawn / 2).toString("hex");
    digitsAt = 0;
  }
  digitsAt += count;
  return randomDigits.slice(digitsAt - count, digitsAt);
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
