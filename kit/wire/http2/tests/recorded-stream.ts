import type { Http2Connection } from "../connection.ts";
import type { AnswerHeaders } from "../header-list.ts";
import type { ClientStream, StreamListener, StreamReset } from "../stream.ts";

/** What came of a stream. */
export interface Heard {
  readonly head: AnswerHeaders | undefined;
  readonly data: Buffer;
  readonly trailers: AnswerHeaders | undefined;
  /** Undefined where the answer came to its end. */
  readonly reset: StreamReset | undefined;
}

/** A stream with what it heard. */
export interface RecordedStream {
  readonly stream: ClientStream;
  /** Bytes heard so far. */
  readonly bytes: number;
  /** Resolves at the answer's end, or at a reset. */
  readonly over: Promise<Heard>;
  /** Resolves when the stream takes more. */
  drained(): Promise<void>;
}

/** Opens a stream and writes down what it hears; throws where the connection gives none. */
export function openRecorded(connection: Http2Connection, fields: readonly string[]): RecordedStream {
  const over = Promise.withResolvers<Heard>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  let head: AnswerHeaders | undefined;
  let trailers: AnswerHeaders | undefined;
  let drain = Promise.withResolvers<void>();
  const settle = (reset: StreamReset | undefined) =>
    over.resolve({ head, data: Buffer.concat(chunks), trailers, reset });
  const listener: StreamListener = {
    onHead(headers) {
      head = headers;
    },
    onData(lent) {
      bytes += lent.length;
      chunks.push(Buffer.from(lent));
    },
    onTrailers(headers) {
      trailers = headers;
    },
    onEnd: () => settle(undefined),
    onDrain: () => drain.resolve(),
    onReset: settle,
  };
  const stream = connection.open(fields, listener);
  if (stream === undefined) throw new Error("the connection gives no stream");
  return {
    stream,
    get bytes() {
      return bytes;
    },
    over: over.promise,
    drained: async () => {
      await drain.promise;
      drain = Promise.withResolvers();
    },
  };
}
