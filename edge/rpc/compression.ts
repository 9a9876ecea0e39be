import { promisify } from "node:util";
import zlib from "node:zlib";
import { badRequest, EdgeError } from "../edge-error.ts";
import { messageTooLarge } from "../grpc/first-message.ts";
import { Code } from "../grpc/grpc-code.ts";

interface Algorithm {
  readonly compress: (bytes: Uint8Array) => Buffer;
  /** The same on another thread. */
  readonly compressAside: (bytes: Uint8Array) => Promise<Buffer>;
  readonly decompress: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer;
}

// A higher level costs more time than its bytes save on a network that is not slow.
const brotli = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };

const gzip = { level: 4 };
const gzipAside = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gzip);
const brotliAside = promisify<Uint8Array, zlib.BrotliOptions, Buffer>(zlib.brotliCompress);

const algorithms: Readonly<Record<string, Algorithm>> = {
  gzip: {
    compress: (bytes) => zlib.gzipSync(bytes, gzip),
    compressAside: (bytes) => gzipAside(bytes, gzip),
    decompress: zlib.gunzipSync,
  },
  br: {
    compress: (bytes) => zlib.brotliCompressSync(bytes, brotli),
    compressAside: (bytes) => brotliAside(bytes, brotli),
    decompress: zlib.brotliDecompressSync,
  },
  zstd: {
    compress: (bytes) => zlib.zstdCompressSync(bytes),
    compressAside: promisify<Uint8Array, Buffer>(zlib.zstdCompress),
    decompress: zlib.zstdDecompressSync,
  },
};

/** Compressions of messages, as protocols name them in their accept headers. */
export const supportedEncodings = Object.keys(algorithms).join(", ");

/** Below this, compressing costs more than it saves: the answer fits one packet anyway. */
const minBytes = 1_024;
/** Above this, other requests would wait for it longer than another thread takes to begin. */
const maxBytesAtOnce = 32 * 1_024;

/** Checks the compression that a request declares; undefined for none. Throws UNIMPLEMENTED, as the protocols ask. */
export function readEncoding(header: string | undefined): string | undefined {
  const name = header?.trim().toLowerCase();
  if (name === undefined || name === "" || name === "identity") return undefined;
  if (Object.hasOwn(algorithms, name)) return name;
  throw new EdgeError({
    code: Code.UNIMPLEMENTED,
    reason: "COMPRESSION_UNSUPPORTED",
    plain: true,
    message: `unknown compression '${name.slice(0, 40)}': supported are ${supportedEncodings}`,
  });
}

/** The first compression of an accept header that is known here. */
export function chooseEncoding(accept: string | undefined): string | undefined {
  if (accept === undefined) return undefined;
  for (const item of accept.toLowerCase().split(",")) {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim());
    if (Object.hasOwn(algorithms, name) && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)))
      return name;
  }
  return undefined;
}

/** The same for an answer that is there as a whole: undefined also where compressing it is not worth it. */
export function chooseEncodingFor(bytes: Uint8Array, accept: string | undefined): string | undefined {
  return bytes.length < minBytes ? undefined : chooseEncoding(accept);
}

/**
 * Undoes a message's compression, at once: messages are small, and their order must hold. The limit counts what comes out, so a
 * bomb is stopped at `maxBytes`. Throws {@link EdgeError}s (RESOURCE_EXHAUSTED, INVALID_ARGUMENT).
 */
export function decompress(encoding: string, bytes: Uint8Array, maxBytes: number): Buffer {
  if (bytes.length === 0) return Buffer.alloc(0);
  try {
    // Node takes no limit of zero.
    const message = (algorithms[encoding] as Algorithm).decompress(bytes, { maxOutputLength: maxBytes + 1 });
    if (message.length <= maxBytes) return message;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE")
      throw badRequest("INVALID_ENCODING", `the message is not ${encoding}`);
  }
  throw messageTooLarge();
}

/** Compresses an answer's message where that is worth it; undefined where it stays as it is. */
export function compress(encoding: string | undefined, bytes: Uint8Array): Buffer | undefined {
  return encoding === undefined || bytes.length < minBytes
    ? undefined
    : algorithms[encoding]?.compress(bytes);
}

/** The same for an answer whose order does not matter: what is large is compressed aside. */
export function compressBody(
  encoding: string | undefined,
  bytes: Uint8Array,
): Buffer | Promise<Buffer> | undefined {
  return encoding === undefined || bytes.length <= maxBytesAtOnce
    ? compress(encoding, bytes)
    : algorithms[encoding]?.compressAside(bytes);
}
