import type { JsonValue } from "@bufbuild/protobuf";

const numberParts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/;
// 2^64 has 20 digits; an exponent beyond this cannot give an integer that fits.
const maxIntegerDigits = 20;

/** A number of a JSON text with the digits it was written in. */
export class ExactNumber {
  readonly rounded: number;
  readonly source: string;

  constructor(rounded: number, source: string) {
    this.rounded = rounded;
    this.source = source;
  }
}

/** `JSON.parse` that keeps the digits of what no double may hold exactly; they come out as {@link ExactNumber}. */
export function parseExact(text: string): JsonValue {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && needsDigits(value, context?.source)
      ? new ExactNumber(value, context?.source ?? "")
      : value,
  ) as JsonValue;
}

/** A fraction too small for a double leaves an integer behind, so only plain digits are trusted. */
function needsDigits(value: number, source: string | undefined): boolean {
  if (source === undefined) return false;
  return !Number.isSafeInteger(value) || !/^-?\d+$/.test(source);
}

/** Writes out a number's integer value; undefined when it has a fraction or cannot fit 64 bits. */
export function integerDigits(source: string): string | undefined {
  const parts = numberParts.exec(source);
  if (parts === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  const shift = Number(exponent) - fraction.length;
  if (digits === "") return "0";
  if (shift >= 0) {
    return digits.length + shift > maxIntegerDigits ? undefined : sign + digits + "0".repeat(shift);
  }
  const kept = digits.slice(0, shift);
  return /^0*$/.test(digits.slice(shift)) && kept !== "" ? sign + kept : undefined;
}
