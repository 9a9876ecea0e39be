/** Reads messages that follow their length in four bytes, as the suite writes them. */
export async function* readSized(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      const end = 4 + bytes.readUInt32BE(0);
      yield bytes.subarray(4, end);
      bytes = bytes.subarray(end);
    }
  }
}

/** Writes a message behind its length. */
export function writeSized(bytes: Uint8Array): void {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([size, bytes]));
}
