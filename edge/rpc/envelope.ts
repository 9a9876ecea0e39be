import type { EdgeError } from "../edge-error.ts";
import { brokenOff, malformed, messageTooLarge, undeclaredCompression } from "../grpc/first-message.ts";
import { decompress } from "./compression.ts";

const noBytes = Buffer.alloc(0);

/** The flag of an envelope whose message is compressed. */
export const compressedFlag = 0x01;

/** Puts the five-byte prefix of gRPC and Connect before a message. */
export function envelope(flags: number, bytes: Uint8Array): Buffer {
  const enveloped = Buffer.allocUnsafe(5 + bytes.length);
  enveloped[0] = flags;
  enveloped.writeUInt32BE(bytes.length, 1);
  enveloped.set(bytes, 5);
  return enveloped;
}

/** Cuts a caller's messages out of their envelopes and undoes their compression; holds at most one of `maxBytes`. */
export class EnvelopeReader {
  readonly #encoding: string | undefined;
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wanted = 5;

  constructor(encoding: string | undefined, maxBytes: number) {
    this.#encoding = encoding;
    this.#maxBytes = maxBytes;
  }

  /** Takes a chunk and hands out the messages it completes; throws an {@link EdgeError} when the stream must be given up. */
  read(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return;
    let bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    let size = this.#sizeOf(bytes);
    while (size !== undefined && bytes.length >= 5 + size) {
      const flags = bytes[0] ?? 0;
      const message = bytes.subarray(5, 5 + size);
      bytes = bytes.subarray(5 + size);
      onMessage(this.#open(flags, message));
      size = this.#sizeOf(bytes);
    }
    this.#wanted = 5 + (size ?? 0);
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#bytes = bytes.length;
  }

  /** Checks that the stream does not break off inside a message. */
  end(): void {
    if (this.#bytes > 0) throw brokenOff();
  }

  #sizeOf(bytes: Buffer): number | undefined {
    if (bytes.length < 5) return undefined;
    const size = bytes.readUInt32BE(1);
    if (size > this.#maxBytes) throw messageTooLarge();
    return size;
  }

  #open(flags: number, message: Buffer): Buffer {
    if (flags === 0) return message;
    if (flags !== compressedFlag) throw malformed("a message has flags that a request cannot have");
    if (this.#encoding === undefined) throw undeclaredCompression();
    return decompress(this.#encoding, message, this.#maxBytes);
  }
}

/** Undoes base64 that comes in pieces, each with padding of its own where its sender flushed. */
export class Base64Reader {
  #rest = "";

  /** Decodes what is whole so far; throws an {@link EdgeError} (INVALID_ARGUMENT) for what is not base64. */
  read(chunk: Buffer): Buffer {
    const text = this.#rest + chunk.toString("latin1");
    if (!/^[A-Za-z0-9+/=]*$/.test(text)) throw notBase64();
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    const pieces = text.slice(0, whole).match(/[^=]+={0,2}/g) ?? [];
    return pieces.length === 0 ? noBytes : Buffer.concat(pieces.map((piece) => Buffer.from(piece, "base64")));
  }

  end(): void {
    if (this.#rest !== "") throw notBase64();
  }
}

function notBase64(): EdgeError {
  return malformed("the request is not base64");
}
