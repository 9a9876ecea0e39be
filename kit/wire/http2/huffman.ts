import { connectionFault } from "./frames.ts";

// Lengths of the codes of the 256 bytes and of the end (RFC 7541, appendix B). The code is canonical: within one length, codes
// follow one another in the order of their bytes, so that the lengths are the whole table.
const codeBits = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const endSymbol = 256;
const maxCodeBits = 30;

// A step takes four bits: its entry is the next node, with the byte that was completed on the way, if any (no code is shorter
// than five bits, so there is at most one).
const emits = 1 << 16;
const fails = -1;

const { steps, mayEnd } = compile();

function compile(): { steps: Int32Array; mayEnd: Uint8Array } {
  // Two children for each node: below zero the symbol at this leaf, else the node's number.
  const tree: [number, number][] = [[0, 0]];
  let code = 0;
  for (let bits = 1; bits <= maxCodeBits; bits++, code *= 2) {
    for (let symbol = 0; symbol <= endSymbol; symbol++) {
      if (codeBits[symbol] === bits) plant(tree, code++, bits, symbol);
    }
  }
  const found = new Int32Array(tree.length * 16);
  for (let node = 0; node < tree.length; node++) {
    for (let four = 0; four < 16; four++) found[node * 16 + four] = walk(tree, node, four);
  }
  // What is left over at the end may only be the beginning of the end's code, all ones, of less than a byte.
  const ends = new Uint8Array(tree.length);
  for (let node = 0, bits = 0; bits < 8; bits++, node = tree[node]?.[1] as number) ends[node] = 1;
  return { steps: found, mayEnd: ends };
}

function plant(tree: [number, number][], code: number, bits: number, symbol: number): void {
  let node = 0;
  for (let bit = bits - 1; bit > 0; bit--) {
    const children = tree[node] as [number, number];
    const side = ((code >> bit) & 1) as 0 | 1;
    if (children[side] === 0) children[side] = tree.push([0, 0]) - 1;
    node = children[side];
  }
  (tree[node] as [number, number])[(code & 1) as 0 | 1] = -symbol - 1;
}

function walk(tree: readonly [number, number][], from: number, four: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = tree[node]?.[((four >> bit) & 1) as 0 | 1] as number;
    if (child === -endSymbol - 1) return fails;
    if (child < 0) {
      emitted = emits | ((-child - 1) << 17);
      node = 0;
    } else node = child;
  }
  return node | emitted;
}

// The shortest code has five bits.
let room: Buffer = Buffer.allocUnsafeSlow(4_096);

/**
 * Decodes a Huffman-coded text; each byte becomes one character.
 * @throws Http2Error for the code of the end, and for padding that is not a short beginning of it.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const most = Math.ceil(((end - start) * 8) / 5);
  if (most > room.length) room = Buffer.allocUnsafeSlow(2 * most);
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = steps[node * 16 + ((byte >> shift) & 15)] as number;
      if (step === fails) throw connectionFault("compression", "a Huffman code that ends within a text");
      if ((step & emits) !== 0) room[length++] = step >> 17;
      node = step & 0xffff;
    }
  }
  if (mayEnd[node] === 0) throw connectionFault("compression", "a Huffman code is broken off");
  return room.toString("latin1", 0, length);
}
