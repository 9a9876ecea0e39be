import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Readable, Transform } from "node:stream";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { badRequest, EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";

const noBytes = Buffer.alloc(0);

type Decoder = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>;

const decoders: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ["gzip", promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)],
  ["x-gzip", promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)],
  ["br", promisify<Buffer, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)],
  ["deflate", promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflate)],
  ["zstd", promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)],
]);

const transforms: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", zlib.createGunzip],
  ["x-gzip", zlib.createGunzip],
  ["br", zlib.createBrotliDecompress],
  ["deflate", zlib.createInflate],
  ["zstd", zlib.createZstdDecompress],
]);

/** Refuses a body for its size (X4). */
export function tooLarge(maxBytes: number): EdgeError {
  return new EdgeError({
    code: Code.RESOURCE_EXHAUSTED,
    httpStatus: 413,
    reason: "REQUEST_TOO_LARGE",
    message: `the body is larger than ${maxBytes} bytes`,
    metadata: { maxRequestBytes: String(maxBytes) },
  });
}

/** Refuses a body for its sender's pace; the connection, in the middle of a body, is of no more use. */
export function tooSlow(): EdgeError {
  return new EdgeError({
    code: Code.CANCELLED,
    httpStatus: 408,
    reason: "REQUEST_TIMEOUT",
    message: "the body did not arrive in time",
    headers: { connection: "close" },
  });
}

/** Bounds of a body. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** Time in which all of it must be there. */
  readonly timeoutMs: number;
}

/**
 * Reads a whole body and calls back once, with its bytes or the error that refuses it. Over `maxBytes` it stops reading,
 * so a sender that ignores the answer meets backpressure. A body that breaks off is the caller's leaving: no call back.
 */
export function readBody(
  request: IncomingMessage | Http2ServerRequest,
  { maxBytes, timeoutMs }: BodyLimits,
  done: (error: EdgeError | undefined, bytes: Buffer) => void,
): void {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
    done(tooLarge(maxBytes), noBytes);
    return;
  }
  let first: Buffer | undefined;
  let chunks: Buffer[] | undefined;
  let size = 0;
  const stop = (error: EdgeError): void => {
    clearTimeout(late);
    request.removeListener("data", onData).removeListener("end", onEnd);
    request.pause();
    done(error, noBytes);
  };
  const late = setTimeout(() => stop(tooSlow()), timeoutMs);
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > maxBytes) stop(tooLarge(maxBytes));
    else if (first === undefined) first = chunk;
    else if (chunks === undefined) chunks = [first, chunk];
    else chunks.push(chunk);
  };
  const onEnd = (): void => {
    clearTimeout(late);
    done(undefined, chunks === undefined ? (first ?? noBytes) : Buffer.concat(chunks, size));
  };
  request
    .on("data", onData)
    .on("end", onEnd)
    .once("close", () => clearTimeout(late));
}

/** Undoes Content-Encoding (B10); the limit counts decoded bytes, so a small bomb cannot unfold. */
export async function decodeBody(encoding: string, bytes: Buffer, maxBytes: number): Promise<Buffer> {
  let decoded = bytes;
  for (const name of encodingsOf(encoding)) decoded = await undo(name, decoded, maxBytes);
  return decoded;
}

/** Undoes Content-Encoding as bytes arrive; throws an {@link EdgeError} (415), and reports what turns out to be broken. */
export function decodingStream(
  request: Readable,
  encoding: string | undefined,
  onBroken: (error: EdgeError) => void,
): Readable {
  return encodingsOf(encoding ?? "").reduce((source: Readable, name) => {
    const decoder = transforms.get(name)?.() as Transform;
    decoder.on("error", () => onBroken(badRequest("INVALID_ENCODING", `the body is not ${name}`)));
    return source.pipe(decoder);
  }, request);
}

/** The encodings to undo, outermost first. */
function encodingsOf(header: string): string[] {
  const names = header
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "identity" && name !== "");
  if (names.length > 2 || names.some((name) => !decoders.has(name))) throw unsupportedEncoding(header);
  return names.reverse();
}

async function undo(name: string, bytes: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    return (await decoders.get(name)?.(bytes, { maxOutputLength: maxBytes })) ?? bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(maxBytes);
    throw badRequest("INVALID_ENCODING", `the body is not ${name}`);
  }
}

function unsupportedEncoding(encoding: string): EdgeError {
  return new EdgeError({
    code: Code.INVALID_ARGUMENT,
    httpStatus: 415,
    reason: "UNSUPPORTED_ENCODING",
    message: `content-encoding ${encoding.slice(0, 40)} is not supported`,
    headers: { "accept-encoding": "gzip, br, deflate, zstd" },
  });
}
