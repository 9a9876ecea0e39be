import { type DescField, type JsonValue, ScalarType } from "@bufbuild/protobuf";

const numberParts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/;
// 2^64 has 20 digits; an exponent beyond this cannot give an integer that fits.
const maxIntegerDigits = 20;

const longs: readonly (ScalarType | undefined)[] = [
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
];

/** A number of a JSON text with the digits it was written in. */
export class ExactNumber {
  readonly rounded: number;
  readonly source: string;

  constructor(rounded: number, source: string) {
    this.rounded = rounded;
    this.source = source;
  }
}

/** `JSON.parse` that keeps the digits of integers no double can hold; they come out as {@link ExactNumber}. */
export function parseExact(text: string): JsonValue {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && !(Number.isInteger(value) && Number.isSafeInteger(value))
      ? keepDigits(value, context?.source)
      : value,
  ) as JsonValue;
}

function keepDigits(value: number, source: string | undefined): number | ExactNumber {
  return source === undefined ? value : new ExactNumber(value, source);
}

/** The form of a long number that its field reads exactly: digits for 64-bit integers, else the double it stands for. */
export function exactInteger(field: DescField, number: ExactNumber): JsonValue {
  // As text, what overflows a double is refused by its field instead of becoming Infinity.
  if (!Number.isFinite(number.rounded)) return number.source;
  if (!longs.includes(field.scalar)) return number.rounded;
  return integerDigits(number.source) ?? number.rounded;
}

/** Writes out a number's integer value; undefined when it has a fraction or cannot fit 64 bits. */
function integerDigits(source: string): string | undefined {
  const parts = numberParts.exec(source);
  if (parts === null) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  const shift = Number(exponent) - fraction.length;
  if (digits === "") return "0";
  if (shift >= 0) {
    return digits.length + shift > maxIntegerDigits ? undefined : sign + digits + "0".repeat(shift);
  }
  const kept = digits.slice(0, shift);
  return /^0*$/.test(digits.slice(shift)) && kept !== "" ? sign + kept : undefined;
}
