import type { DescMethod } from "@bufbuild/protobuf";
import type { Deadline } from "#kit/time/time.ts";

/** Who is calling, as far as rpc needs to know; what `verify` of kit/auth returns has this shape. */
export interface Principal {
  /** `sub` of the token: a person's id or a service's name. */
  readonly subject: string;
  /** `client_id` of the token. */
  readonly clientId: string;
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
}

/**
 * What calls made on behalf of another piece of work inherit from it. A {@link Call} is one; a saga or a consumer makes
 * its own.
 */
export interface CallContext {
  /** Follows one piece of work through every service: the client's `x-correlation-id`, or made here. */
  readonly correlationId: string;
  /** W3C trace context to continue, when there is one. */
  readonly traceparent?: string | undefined;
  /** Nothing done on behalf of the call may outlive it. */
  readonly deadline?: Deadline | undefined;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
  /** The caller's bearer token, for calls that go on as the caller. */
  readonly token?: string | undefined;
  /** Set where somebody chose the canaries for this piece of work: the calls it makes choose them too. */
  readonly track?: "canary" | undefined;
}

/** One call as a handler sees it. */
export interface Call extends CallContext {
  readonly method: DescMethod;
  /** Whom the token names; undefined only in methods whose policy says `anonymous`. */
  readonly principal: Principal | undefined;
  readonly token: string | undefined;
  /** 1 to 255 printable ASCII characters; always there where the policy asks for it. */
  readonly idempotencyKey: string | undefined;
  readonly traceparent: string | undefined;
  /** The earlier of the caller's deadline and the policy's. */
  readonly deadline: Deadline;
  /** Aborts when the caller gives up, goes away, or the deadline passes. Made when first asked for. */
  readonly signal: AbortSignal;
  /**
   * A text header the caller sent, lower case. Whatever comes this way is a claim of the caller: who is calling is in
   * `principal` and nowhere else.
   */
  metadata(name: string): string | undefined;
  /** Adds a header to the answer; call it before the first message of a stream. */
  setResponseMetadata(name: string, value: string): void;
}

/** The header by which a call in the mesh chooses canaries over weights; the edge takes it from outsiders' requests. */
export const trackHeader = "x-souk-track";

/** The track that the header's value chooses; undefined for whatever the weights decide. */
export const trackOf = (value: string | undefined): "canary" | undefined =>
  value === "canary" ? "canary" : undefined;
