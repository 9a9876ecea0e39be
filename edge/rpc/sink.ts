import type { IncomingHttpHeaders } from "node:http2";
import type { EdgeError } from "../edge-error.ts";

/** Writes an answer in its caller's protocol. */
export interface Sink {
  /** The backend's initial metadata; comes before any message, or not at all. */
  onHeaders(headers: IncomingHttpHeaders): void;
  /** Writes a message; false asks to wait until the response has drained. */
  onMessage(message: Buffer): boolean;
  /** Ends the answer, well or with an error, and returns the HTTP status that was sent. */
  finish(error: EdgeError | undefined, trailers: IncomingHttpHeaders): number;
}
