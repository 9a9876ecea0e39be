import type { IncomingMessage } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Response } from "../rest/answer.ts";
import type { Request } from "../rest/rest-context.ts";

/** What a listener hands its requests to. */
export interface Handlers {
  /** Anything but gRPC. */
  onRequest(request: Request, response: Response): void;
  /** gRPC over HTTP/2. */
  onGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** Whether a request that asks for another protocol gets it; else it is an ordinary request. */
  upgrades(request: IncomingMessage): boolean;
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** No more requests will come; streams without an end of their own should end. */
  onDrain(): void;
}
