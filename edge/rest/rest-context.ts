import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Exchange } from "../exchange.ts";
import type { Runtime } from "../runtime.ts";
import type { Response } from "./answer.ts";

/** A request over HTTP/1.1 or HTTP/2. */
export type Request = IncomingMessage | Http2ServerRequest;

/** Everything one REST request is served from. */
export interface RestContext {
  readonly runtime: Runtime;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly response: Response;
}
