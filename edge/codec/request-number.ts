import type { JsonIn } from "./json-in.ts";
import { Kind } from "./kind.ts";
import { unusual } from "./unusual.ts";
import type { WireOut } from "./wire-out.ts";

const maxFloat = 3.4028234663852886e38;
const longMax = 2n ** 63n - 1n;
const unsignedMax = 2n ** 64n - 1n;

/** Writes the number, of whatever kind, that comes next in JSON. */
export function writeNumber(kind: Kind, input: JsonIn, out: WireOut): void {
  switch (kind) {
    case Kind.INT32:
      writeSigned(int32(input), out);
      break;
    case Kind.UINT32:
      out.varint(uint32(input));
      break;
    case Kind.SINT32: {
      const value = int32(input);
      out.varint(((value << 1) ^ (value >> 31)) >>> 0);
      break;
    }
    case Kind.FIXED32:
      out.fixed(uint32(input));
      break;
    case Kind.SFIXED32:
      out.fixed(int32(input));
      break;
    case Kind.DOUBLE:
      out.double(input.double());
      break;
    case Kind.FLOAT: {
      const value = input.double();
      if (Math.abs(value) > maxFloat) throw unusual;
      out.float(value);
      break;
    }
    case Kind.INT64:
      if (input.isLong()) out.long(long(input, -longMax - 1n, longMax));
      else writeSigned(input.integer(), out);
      break;
    case Kind.UINT64:
      if (input.isLong()) out.long(long(input, 0n, unsignedMax));
      else out.varint(unsigned(input));
      break;
    case Kind.SINT64: {
      const value = anyLong(input, -longMax - 1n, longMax);
      out.long((value << 1n) ^ (value >> 63n));
      break;
    }
    case Kind.FIXED64:
      out.fixedLong(anyLong(input, 0n, unsignedMax));
      break;
    default:
      out.fixedLong(anyLong(input, -longMax - 1n, longMax));
  }
}

function writeSigned(value: number, out: WireOut): void {
  if (value < 0) out.long(BigInt(value));
  else out.varint(value);
}

function int32(input: JsonIn): number {
  input.peek();
  const value = input.integer();
  if (value !== (value | 0)) throw unusual;
  return value;
}

function uint32(input: JsonIn): number {
  input.peek();
  const value = input.integer();
  if (value !== value >>> 0) throw unusual;
  return value;
}

function unsigned(input: JsonIn): number {
  const value = input.integer();
  if (value < 0) throw unusual;
  return value;
}

function anyLong(input: JsonIn, min: bigint, max: bigint): bigint {
  if (input.isLong()) return long(input, min, max);
  const value = BigInt(input.integer());
  if (value < min) throw unusual;
  return value;
}

function long(input: JsonIn, min: bigint, max: bigint): bigint {
  const value = input.long();
  if (value < min || value > max) throw unusual;
  return value;
}
