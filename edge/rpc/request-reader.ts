import { type EdgeError, toEdgeError } from "../edge-error.ts";
import { malformed, messageTooLarge } from "../grpc/first-message.ts";
import type { RestContext } from "../rest/rest-context.ts";
import { decompress, readEncoding } from "./compression.ts";
import type { Dialect } from "./dialect.ts";
import { Base64Reader, EnvelopeReader } from "./envelope.ts";

/** What becomes of reading a request: messages, then its end or a fault. */
export interface RequestListener {
  onMessage(message: Buffer): void;
  onEnd(): void;
  onFault(error: EdgeError): void;
}

/** Reads a request's messages in its caller's dialect, uncompressed; throws {@link EdgeError}s for headers that cannot be followed. */
export function readRequest(
  { request }: RestContext,
  dialect: Dialect,
  query: URLSearchParams,
  maxBytes: number,
  listener: RequestListener,
): void {
  const { headers } = request;
  const encodingHeader = (name: string): string | undefined => readEncoding(headers[name]?.toString());
  switch (dialect.form) {
    case "connect-get":
      listener.onMessage(messageOfQuery(query, maxBytes));
      listener.onEnd();
      return;
    case "connect-unary":
      readWhole(request, encodingHeader("content-encoding"), maxBytes, listener);
      return;
    case "connect-stream":
      readEnvelopes(
        request,
        new EnvelopeReader(encodingHeader("connect-content-encoding"), maxBytes),
        undefined,
        listener,
      );
      return;
    default: {
      const text = dialect.form === "grpc-web-text" ? new Base64Reader() : undefined;
      readEnvelopes(request, new EnvelopeReader(encodingHeader("grpc-encoding"), maxBytes), text, listener);
    }
  }
}

function messageOfQuery(query: URLSearchParams, maxBytes: number): Buffer {
  const text = query.get("message");
  if (text === null) throw malformed("the query has no 'message'");
  if (!["proto", "json"].includes(query.get("encoding") ?? ""))
    throw malformed("the query's 'encoding' must be proto or json");
  const encoding = readEncoding(query.get("compression") ?? undefined);
  const bytes = query.get("base64") === "1" ? Buffer.from(text, "base64url") : Buffer.from(text);
  if (bytes.length > maxBytes) throw messageTooLarge();
  return encoding === undefined ? bytes : decompress(encoding, bytes, maxBytes);
}

/** Runs a step that may refuse; false when it did. */
function attempt(listener: RequestListener, step: () => void): boolean {
  try {
    step();
    return true;
  } catch (error) {
    listener.onFault(toEdgeError(error));
    return false;
  }
}

function readWhole(
  request: RestContext["request"],
  encoding: string | undefined,
  maxBytes: number,
  listener: RequestListener,
): void {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
    listener.onFault(messageTooLarge());
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    chunks.push(chunk);
    if (size <= maxBytes) return;
    stop();
    listener.onFault(messageTooLarge());
  };
  const onEnd = (): void => {
    attempt(listener, () => {
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
      listener.onMessage(encoding === undefined ? bytes : decompress(encoding, bytes, maxBytes));
      listener.onEnd();
    });
  };
  const stop = () => request.off("data", onData).off("end", onEnd);
  request.on("data", onData).on("end", onEnd);
}

function readEnvelopes(
  request: RestContext["request"],
  envelopes: EnvelopeReader,
  text: Base64Reader | undefined,
  listener: RequestListener,
): void {
  const onData = (chunk: Buffer): void => {
    const taken = attempt(listener, () =>
      envelopes.read(text === undefined ? chunk : text.read(chunk), (message) => listener.onMessage(message)),
    );
    if (!taken) stop();
  };
  const onEnd = (): void => {
    attempt(listener, () => {
      text?.end();
      envelopes.end();
      listener.onEnd();
    });
  };
  const stop = () => request.off("data", onData).off("end", onEnd);
  request.on("data", onData).on("end", onEnd);
}
