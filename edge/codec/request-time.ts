import type { JsonIn } from "./json-in.ts";
import { unusual } from "./unusual.ts";
import type { WireOut } from "./wire-out.ts";

const SECONDS = 8;
const NANOS = 16;
const secondsPerDay = 86_400;
const longestDuration = 315_576_000_000;
const timestamp = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z$/;
const duration = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/** Writes the RFC 3339 time that comes next as a google.protobuf.Timestamp; one with an offset is unusual, as is one that does not exist. */
export function writeTimestamp(input: JsonIn, out: WireOut): void {
  input.string();
  const parts = timestamp.exec(input.text());
  if (parts === null) throw unusual;
  const day = dayOf(Number(parts[1]), Number(parts[2]), Number(parts[3]));
  const [hour, minute, second] = [Number(parts[4]), Number(parts[5]), Number(parts[6])];
  if (hour > 23 || minute > 59 || second > 59) throw unusual;
  write(out, day * secondsPerDay + hour * 3_600 + minute * 60 + second, nanosOf(parts[7]));
}

/** Writes the duration that comes next, such as `1.5s`, as a google.protobuf.Duration. */
export function writeDuration(input: JsonIn, out: WireOut): void {
  input.string();
  const parts = duration.exec(input.text());
  const seconds = Number(parts?.[2]);
  if (parts === null || seconds > longestDuration) throw unusual;
  const sign = parts[1] === "-" ? -1 : 1;
  write(out, sign * seconds, sign * nanosOf(parts[3]));
}

function nanosOf(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(9, "0"));
}

function write(out: WireOut, seconds: number, nanos: number): void {
  const start = out.beginLength();
  for (const [tag, value] of [
    [SECONDS, seconds],
    [NANOS, nanos],
  ] as const) {
    if (value === 0) continue;
    out.byte(tag);
    if (value < 0) out.long(BigInt(value));
    else out.varint(value);
  }
  out.endLength(start);
}

/** The day counted from 1970-01-01 of a date in the years 1 to 9999. */
function dayOf(year: number, month: number, day: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const before = daysBefore[month - 1];
  const lastDay = (daysBefore[month] ?? 0) - (before ?? 0) + (month === 2 && leap ? 1 : 0);
  if (year < 1 || before === undefined || day < 1 || day > lastDay) throw unusual;
  const past = year - 1;
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
  return past * 365 + leapDays + before + (leap && month > 2 ? 1 : 0) + day - 1 - daysTo1970;
}

/** From 0001-01-01 to 1970-01-01. */
const daysTo1970 = 719_162;
