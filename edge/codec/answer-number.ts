import type { JsonOut } from "./json-out.ts";
import { Kind } from "./kind.ts";
import type { WireIn } from "./wire-in.ts";

const QUOTE = 34;
const nan = Buffer.from('"NaN"');
const infinite = Buffer.from('"Infinity"');
const negativeZero = Buffer.from("-0");
const negative = Buffer.from('"-Infinity"');

/** Writes the number, of whatever kind, that comes next. */
export function writeNumber(kind: Kind, input: WireIn, out: JsonOut): void {
  switch (kind) {
    case Kind.INT32:
      writeInteger(out, input.varint() | 0);
      break;
    case Kind.UINT32:
      writeInteger(out, input.varint());
      break;
    case Kind.SINT32: {
      const value = input.varint();
      writeInteger(out, (value >>> 1) ^ -(value & 1));
      break;
    }
    case Kind.FIXED32:
      writeInteger(out, input.fixed());
      break;
    case Kind.SFIXED32:
      writeInteger(out, input.fixed() | 0);
      break;
    case Kind.FLOAT:
      writeDouble(out, input.float());
      break;
    case Kind.DOUBLE:
      writeDouble(out, input.double());
      break;
    case Kind.FIXED64:
    case Kind.SFIXED64:
      input.fixedLong();
      writeLong(out, input, kind === Kind.SFIXED64);
      break;
    default:
      input.long();
      if (kind === Kind.SINT64) input.unzigzag();
      writeLong(out, input, kind !== Kind.UINT64);
  }
}

/** Writes an integer of 32 bits. */
export function writeInteger(out: JsonOut, value: number): void {
  out.reserve(0);
  out.integer(value);
}

function writeDouble(out: JsonOut, value: number): void {
  if (Object.is(value, -0)) out.raw(negativeZero);
  else if (Number.isFinite(value)) out.ascii(String(value));
  else if (Number.isNaN(value)) out.raw(nan);
  else out.raw(value > 0 ? infinite : negative);
}

/** A 64-bit integer is text in JSON, since no double holds it. */
function writeLong(out: JsonOut, input: WireIn, signed: boolean): void {
  out.reserve(0);
  out.byte(QUOTE);
  const value = input.exact(signed);
  if (value !== undefined) out.integer(value);
  else {
    const whole = (BigInt(input.high) << 32n) | BigInt(input.low);
    out.ascii(String(signed ? BigInt.asIntN(64, whole) : whole));
  }
  out.byte(QUOTE);
}

/** Whether a kind is an integer of 64 bits. */
export function isLong(kind: Kind): boolean {
  return (
    kind === Kind.INT64 ||
    kind === Kind.UINT64 ||
    kind === Kind.SINT64 ||
    kind === Kind.FIXED64 ||
    kind === Kind.SFIXED64
  );
}
