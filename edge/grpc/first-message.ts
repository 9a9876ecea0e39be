import type { ServerHttp2Stream } from "node:http2";
import { FrameReader } from "#kit/wire/grpc-frame.ts";
import { badRequest, EdgeError } from "../edge-error.ts";
import { Code } from "./grpc-code.ts";

/** The first message of a gRPC request, and all bytes that have come by then. */
export interface FirstMessage {
  readonly message: Buffer;
  readonly chunks: readonly Buffer[];
}

/** What becomes of waiting for a first message; just one of the two is called, once. */
export interface FirstMessageListener {
  onMessage(first: FirstMessage): void;
  onFault(error: EdgeError): void;
}

/** Holds back what a caller sends until its first message is whole. */
export function readFirstMessage(
  stream: ServerHttp2Stream,
  maxBytes: number,
  listener: FirstMessageListener,
): void {
  const reader = new FrameReader(maxBytes);
  const chunks: Buffer[] = [];
  const stop = () => stream.off("data", onData).off("end", onEnd);
  const fail = (error: EdgeError) => {
    stop();
    listener.onFault(error);
  };
  const onData = (chunk: Buffer) => {
    let message: Buffer | undefined;
    chunks.push(chunk);
    const fault = reader.read(chunk, (read) => {
      message ??= read;
    });
    if (message !== undefined) {
      stop();
      listener.onMessage({ message, chunks });
    } else if (fault !== undefined) fail(fault === "too-large" ? messageTooLarge() : compressed());
  };
  const onEnd = () => fail(badRequest("REQUEST_MALFORMED", "the request has no message"));
  stream.on("data", onData).on("end", onEnd);
}

/** Refuses a message that announces more than it may have (429, as every limit). */
export function messageTooLarge(): EdgeError {
  return new EdgeError({
    code: Code.RESOURCE_EXHAUSTED,
    reason: "REQUEST_TOO_LARGE",
    message: "the message is too large",
    plain: true,
  });
}

/** What is compressed cannot be looked at on its way. */
function compressed(): EdgeError {
  return new EdgeError({
    code: Code.UNIMPLEMENTED,
    reason: "COMPRESSION_UNSUPPORTED",
    message: "this method takes no compressed messages",
  });
}

/** Refuses a request that is not what its protocol says. */
export function malformed(message: string): EdgeError {
  return new EdgeError({ code: Code.INVALID_ARGUMENT, reason: "REQUEST_MALFORMED", message, plain: true });
}

/** Refuses a request that ends inside a message. */
export function brokenOff(): EdgeError {
  return malformed("the request breaks off inside a message");
}

/** Refuses a compressed message in a request that declares no compression; the protocols ask for this code. */
export function undeclaredCompression(): EdgeError {
  return new EdgeError({
    code: Code.INTERNAL,
    httpStatus: 400,
    reason: "REQUEST_MALFORMED",
    message: "a message is compressed, but no compression was declared",
    plain: true,
    shown: true,
  });
}
