import type { IncomingHttpHeaders } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import type { EdgeError } from "./edge-error.ts";
import { type HeaderFields, setField, toRecord } from "./header-fields.ts";
import type { EdgeCall, EdgeOptions, EdgeRequest, Protocol, ResolvedPolicy, Route } from "./options.ts";
import type { Procedure } from "./routing/route-table.ts";

/** Where a request came from and what it asks. */
export interface ExchangeInit {
  readonly protocol: Protocol;
  readonly httpMethod: string;
  readonly target: string;
  readonly authority: string;
  readonly remoteAddress: string;
  readonly headers: IncomingHttpHeaders;
}

const plainText = /^[\x20-\x7e]*$/;

/** One request with what the hooks add to it and what is reported of it at its end. */
export class Exchange implements EdgeRequest {
  readonly protocol: Protocol;
  readonly httpMethod: string;
  readonly target: string;
  readonly authority: string;
  readonly remoteAddress: string;
  readonly headers: IncomingHttpHeaders;
  context: unknown = undefined;
  method: DescMethod | undefined = undefined;
  policy: ResolvedPolicy | undefined = undefined;
  route: Route | undefined = undefined;
  requestBytes = 0;
  responseBytes = 0;
  /** What the backend is told beside the caller's own headers. */
  readonly metadata: HeaderFields = [];
  /** What the answer carries beside its own headers, which these replace. */
  readonly answerFields: HeaderFields = [];
  readonly #startedMs = performance.now();
  readonly #onSettled: EdgeOptions["onSettled"];
  #settled = false;

  constructor(init: ExchangeInit, onSettled: EdgeOptions["onSettled"]) {
    this.protocol = init.protocol;
    this.httpMethod = init.httpMethod;
    this.target = init.target;
    this.authority = init.authority;
    this.remoteAddress = init.remoteAddress;
    this.headers = init.headers;
    this.#onSettled = onSettled;
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return typeof value === "object" ? value.join(", ") : value;
  }

  setMetadata(name: string, value: string): void {
    // What no metadata can hold is left out, so that a copied header cannot make a call impossible.
    if (plainText.test(value)) setField(this.metadata, name, value);
  }

  setHeader(name: string, value: string): void {
    setField(this.answerFields, name, value);
  }

  /** The answer's fields by name. */
  get answerHeaders(): Record<string, string> {
    return toRecord(this.answerFields);
  }

  /** Notes which RPC the request is for. */
  matched(procedure: Procedure, route: Route | undefined): EdgeCall {
    this.method = procedure.method;
    this.policy = procedure.policy;
    this.route = route;
    return this as EdgeCall & this;
  }

  /** Reports the end, once. */
  settle(httpStatus: number, code: number | undefined, error?: EdgeError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#onSettled?.({
      request: this,
      method: this.method,
      route: this.route,
      httpStatus,
      code,
      reason: error?.reason,
      durationMs: performance.now() - this.#startedMs,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      error,
    });
  }
}
