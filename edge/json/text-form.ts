const integer = /^-?(?:0|[1-9][0-9]*)$/;
const decimal = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/;
const base64 = /^[-A-Za-z0-9+/_]*={0,2}$/;
const duration = /^-?[0-9]{1,12}(?:\.[0-9]{1,9})?s$/;
const timestamp = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[-+](\d{2}):(\d{2}))$/;

/** Whether a text is an integer as JSON writes one, without fraction and exponent. */
export function isIntegerText(text: string): boolean {
  return integer.test(text);
}

/** Whether a text is a number as JSON writes one. */
export function isNumberText(text: string): boolean {
  return decimal.test(text);
}

/** Whether a text is what ProtoJSON calls a double: a number or one of three names. */
export function isDoubleText(text: string): boolean {
  return decimal.test(text) || text === "NaN" || text === "Infinity" || text === "-Infinity";
}

/** Whether a text is base64 in either alphabet, padded or not (V5). */
export function isBase64Text(text: string): boolean {
  return base64.test(text) && text.replace(/=+$/, "").length % 4 !== 1;
}

/** Whether a text is a duration of ProtoJSON (V6); protobuf-es would take text behind it. */
export function isDurationText(text: string): boolean {
  return duration.test(text);
}

/** Whether a text is an RFC 3339 time with offset that exists (V6); `Date.parse` would roll the 30th of February over. */
export function isTimestampText(text: string): boolean {
  const parts = timestamp.exec(text);
  if (parts === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offsetHour, offsetMinute] = parts
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  return (
    within(month, 1, 12) &&
    within(day, 1, daysOf(year, month)) &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 59 &&
    (offsetHour ?? 0) <= 23 &&
    (offsetMinute ?? 0) <= 59
  );
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

function within(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
