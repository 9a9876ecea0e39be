import type { JsonOut } from "./json-out.ts";
import { unusual } from "./unusual.ts";
import type { WireIn } from "./wire-in.ts";

const QUOTE = 34;
const SECONDS = 8;
const NANOS = 16;
const secondsPerDay = 86_400;
// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const firstSecond = -62_135_596_800;
const lastSecond = 253_402_300_799;
const longestDuration = 315_576_000_000;
// One loop reads both messages, one after the other and never nested: it leaves its result here.
const read = { seconds: 0, nanos: 0 };

/** Writes an encoded google.protobuf.Timestamp as RFC 3339 in UTC; unusual where it is out of range. */
export function writeTimestamp(input: WireIn, out: JsonOut, end: number): void {
  readTime(input, end);
  const { seconds, nanos } = read;
  if (seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos > 999_999_999) throw unusual;
  out.reserve(0);
  out.byte(QUOTE);
  const day = Math.floor(seconds / secondsPerDay);
  writeDate(out, day);
  const second = (seconds - day * secondsPerDay) | 0;
  out.byte(84);
  out.padded((second / 3_600) | 0, 2);
  out.byte(58);
  out.padded(((second / 60) | 0) % 60, 2);
  out.byte(58);
  out.padded(second % 60, 2);
  out.fraction(nanos);
  out.byte(90);
  out.byte(QUOTE);
}

/** Writes an encoded google.protobuf.Duration; unusual where it is out of range or of two signs. */
export function writeDuration(input: WireIn, out: JsonOut, end: number): void {
  readTime(input, end);
  const { seconds, nanos } = read;
  const outside = Math.abs(seconds) > longestDuration || Math.abs(nanos) > 999_999_999;
  if (outside || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) throw unusual;
  out.reserve(0);
  out.byte(QUOTE);
  if (seconds === 0 && nanos < 0) out.byte(45);
  out.integer(seconds);
  out.fraction(Math.abs(nanos));
  out.byte(115);
  out.byte(QUOTE);
}

function readTime(input: WireIn, end: number): void {
  read.seconds = 0;
  read.nanos = 0;
  while (input.pos < end) {
    const tag = input.short();
    if (tag === SECONDS) {
      input.long();
      const seconds = input.exact(true);
      if (seconds === undefined) throw unusual;
      read.seconds = seconds;
    } else if (tag === NANOS) read.nanos = input.varint() | 0;
    else throw unusual;
  }
  if (input.pos !== end) throw unusual;
}

/** The date of a day counted from 1970-01-01; eras of 400 years that begin in March make leap days the last of a year. */
function writeDate(out: JsonOut, daysSince1970: number): void {
  const days = daysSince1970 + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - ((dayOfEra / 1_460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  const month = ((5 * dayOfYear + 2) / 153) | 0;
  out.padded(yearOfEra + era * 400 + (month > 9 ? 1 : 0), 4);
  out.byte(45);
  out.padded(month < 10 ? month + 3 : month - 9, 2);
  out.byte(45);
  out.padded(dayOfYear - (((153 * month + 2) / 5) | 0) + 1, 2);
}
