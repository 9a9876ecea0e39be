import type { RestContext } from "../rest/rest-context.ts";
import { compress } from "./compression.ts";
import { compressedFlag, envelope } from "./envelope.ts";

/** Writes enveloped messages to a response that has its head. */
export interface EnvelopeWriter {
  /** Sends the head before there is a message, so that callers see a quiet stream open. */
  flushHead(): void;
  /** False asks to wait until the response has drained. */
  write(message: Buffer): boolean;
  /** Writes what is left and ends the body. */
  end(last: Buffer | undefined): void;
}

/** Creates a writer; `transform` changes the bytes as they leave (base64). */
export function createEnvelopeWriter(
  { exchange, response }: RestContext,
  encoding: string | undefined,
  transform: (bytes: Buffer) => Buffer | string = (bytes) => bytes,
): EnvelopeWriter {
  const stream = response as NodeJS.WritableStream;
  const put = (bytes: Buffer): boolean => {
    exchange.responseBytes += bytes.length;
    return stream.write(transform(bytes));
  };
  return {
    flushHead() {
      if ("flushHeaders" in response) response.flushHeaders();
    },
    write(message) {
      if (response.destroyed) return true;
      const compressed = compress(encoding, message);
      return put(compressed === undefined ? envelope(0, message) : envelope(compressedFlag, compressed));
    },
    end(last) {
      if (response.destroyed) return;
      if (last !== undefined) put(last);
      stream.end();
    },
  };
}
