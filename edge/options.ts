import type { DescFile, DescMethod, DescService, Message, Registry } from "@bufbuild/protobuf";
import type { PeerAddress, PeerTls } from "#kit/wire/http2/peer-address.ts";
import type { EdgeError, Violation } from "./edge-error.ts";

/** How a caller spoke to the edge. */
export type Protocol = "rest" | "connect" | "grpc-web" | "grpc";

/** One HTTP binding of an RPC, compiled at start from its `google.api.http` rule. */
export interface Route {
  readonly service: DescService;
  readonly method: DescMethod;
  /** GET, POST, …, a custom verb, or `*` for any. */
  readonly httpMethod: string;
  /** The path template as written in the contract. */
  readonly template: string;
  /** `*`, the name of a request field, or empty for none. */
  readonly body: string;
  /** The name of a response field, or empty for the whole message. */
  readonly responseBody: string;
}

/** What a gateway lays down for one RPC; every member has a default in {@link EdgeLimits}. */
export interface MethodPolicy {
  /** Upper bound of the call's deadline; callers may ask for less. */
  readonly maxTimeoutMs?: number;
  /** Largest request body (after decompression) or gRPC message. */
  readonly maxRequestBytes?: number;
  /** Status of a successful REST answer, default 200. */
  readonly httpStatus?: number;
  /** Whether a call that got no answer may be sent once more; default: `idempotency_level` is not unknown. */
  readonly retryable?: boolean;
  /** Whether REST answers carry fields that hold their default value; default true. */
  readonly emitDefaults?: boolean;
  /** Query parameters that REST takes and leaves to the hooks, as {@link EdgeOptions.ignoredQueryParameters} does for all. */
  readonly ignoredQueryParameters?: readonly string[];
  /** False keeps the RPC off the edge in every protocol; default true. */
  readonly exposed?: boolean;
}

/** {@link MethodPolicy} with its defaults filled in. */
export type ResolvedPolicy = Required<MethodPolicy>;

/** A request as the hooks see it, whether or not it matched an RPC. */
export interface EdgeRequest {
  readonly protocol: Protocol;
  readonly httpMethod: string;
  /** The raw request target as sent. */
  readonly target: string;
  /** The host and port the caller means: that of an absolute target, else `:authority`, else Host; empty without any. */
  readonly authority: string;
  /** Address of the peer of the connection. */
  readonly remoteAddress: string;
  /** A request header by its lower-case name; repeated ones are joined with ", ". */
  header(name: string): string | undefined;
  /** Sends (or replaces) a metadata entry to the backend by its lower-case name, whatever the caller sent under it; text outside printable ASCII is left out. */
  setMetadata(name: string, value: string): void;
  /** Sets (or replaces) a header of the answer by its lower-case name, in every protocol. */
  setHeader(name: string, value: string): void;
  /** Free for the gateway's own facts about this request (span, correlation id, caller). */
  context: unknown;
}

/** A request that matched an RPC, as `admit` sees it. */
export interface EdgeCall extends EdgeRequest {
  readonly method: DescMethod;
  readonly policy: ResolvedPolicy;
  /** Set for REST only. */
  readonly route: Route | undefined;
}

/** What became of a request, for metrics and access logs; reported once, when the answer has left or the caller has gone. */
export interface Settled {
  readonly request: EdgeRequest;
  readonly method: DescMethod | undefined;
  readonly route: Route | undefined;
  /** HTTP status sent; 499 when the caller left first. */
  readonly httpStatus: number;
  /** gRPC status number; undefined where an answer's own protocol hides it. */
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** The error behind the answer with its cause, for logs only. */
  readonly error: EdgeError | undefined;
}

/** An RFC 9457 problem document. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  instance?: string;
  /** Name of the gRPC code, such as INVALID_ARGUMENT. */
  code: string;
  /** Machine-readable cause, from the backend's ErrorInfo or the edge's own list. */
  reason?: string;
  domain?: string;
  metadata?: Record<string, string>;
  /** The one member at fault, where there is just one. */
  field?: string;
  violations?: Violation[];
  retryAfterMs?: number;
  [extension: string]: unknown;
}

/** Where calls go: one address; one of several that the request chooses; or nowhere, where the gateway itself answers. */
export type Backend = BackendAddress | BackendChoice | LocalAnswers;

/** The gateway's own functions, by the RPC's local name (`getBook`); each exposed RPC is unary and has one. */
export interface LocalAnswers {
  readonly local: Readonly<Record<string, LocalHandler>>;
}

/** Answers one call, or throws an {@link EdgeError}; whatever else it throws is a fault without a text. */
export type LocalHandler = (request: Message, call: LocalCall) => Promise<Message>;

/** What a local handler knows of its call beside the request. */
export interface LocalCall {
  /** A metadata entry as a backend would see it, by its lower-case name. */
  metadata(name: string): string | undefined;
  /** The time the call had when it began. */
  readonly timeoutMs: number;
  /** Aborts when that time is over, or the caller has gone. */
  readonly signal: AbortSignal;
}

/** A document served beside the contract's routes, whole and from memory. */
export interface Document {
  readonly contentType: string;
  readonly bytes: Buffer;
  /** Headers of its answer; they replace those that hooks have set. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** One backend. */
export type BackendAddress = PeerAddress;

/** How a TLS backend is checked, and what it is shown. */
export type BackendTls = PeerTls;

/** Where an edge listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** With it the port speaks TLS only; ALPN chooses the HTTP version. */
  readonly tls?: ListenerTls;
}

/** PEM files of a TLS port, read again when they change. */
export interface ListenerTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities one of which must have signed the caller's certificate; without it callers show none. */
  readonly clientCaFile?: string;
}

/** Several backends behind one contract: a string field of the request says which one is meant. */
export interface BackendChoice {
  /** The field's proto name; each request of the service has it. */
  readonly byField: string;
  /** Addresses by the field's value. */
  readonly addresses: Readonly<Record<string, string>>;
  /** How a value without an address is refused; default 404 BACKEND_UNKNOWN. */
  readonly unknown?: (value: string) => EdgeError;
}

/** Bounds of the edge itself; every one has a default in `limits.ts`. */
export interface EdgeLimits {
  readonly maxTimeoutMs: number;
  readonly maxRequestBytes: number;
  /** Largest message taken from a backend. */
  readonly maxResponseBytes: number;
  /** Deepest nesting of a JSON body. */
  readonly maxJsonDepth: number;
  readonly maxTargetBytes: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive, where no call's deadline ends it before. */
  readonly requestTimeoutMs: number;
  /** For a caller to read any of what waits for it; then it is cut off. */
  readonly writeTimeoutMs: number;
  /** For an HTTP/2 connection without a request; then it is sent away. */
  readonly idleTimeoutMs: number;
  /** Comments sent on an idle event stream. */
  readonly heartbeatMs: number;
  readonly maxConcurrentStreams: number;
  /** Calls in flight to one backend; more are refused as overloaded. */
  readonly maxInFlightPerBackend: number;
  readonly maxSessionsPerBackend: number;
  /**
   * For so long `drain` first goes on taking connections and requests, and tells each caller to come back over another connection:
   * who sends on one that is being closed gets no answer.
   */
  readonly drainLingerMs: number;
  /** How long `drain` then waits for calls in flight. */
  readonly drainTimeoutMs: number;
}

/** Cross-origin rules; without them the edge sends no such header. */
export interface CorsOptions {
  readonly origins: readonly string[];
  /** Request headers a page may send beside those of the protocols. */
  readonly requestHeaders?: readonly string[];
  /** Answer headers a page may read beside those of the protocols. */
  readonly exposedHeaders?: readonly string[];
  readonly maxAgeSeconds?: number;
}

/** Everything {@link createEdge} takes. */
export interface EdgeOptions {
  /** Descriptors to serve, and to resolve `google.protobuf.Any` with. */
  readonly registry: Registry | readonly DescFile[];
  /** Which services to serve; default: all in the registry. */
  readonly services?: (service: DescService) => boolean;
  /** Where a service lives. */
  readonly backendFor: (service: DescService) => Backend;
  readonly policyFor?: (method: DescMethod) => MethodPolicy | undefined;
  /** Called first for every request, matched or not; may refuse it by throwing an {@link EdgeError}. */
  readonly onRequest?: (request: EdgeRequest) => void;
  /** Decides on a matched call by throwing an {@link EdgeError} or returning; the synchronous way costs no promise. */
  readonly admit?: (call: EdgeCall) => void | Promise<void>;
  /** Decides in the same way on a request that no RPC answers, before it gets its document, 404, 405 or list of methods. */
  readonly admitUnmatched?: (request: EdgeRequest) => void | Promise<void>;
  /** The document at a raw path, asked for where no route has it. GET and HEAD are answered, by its digest as ETag. */
  readonly documentAt?: (path: string) => Document | undefined;
  readonly onSettled?: (settled: Settled) => void;
  /** Last word on a problem document: may add extensions or replace texts and `status`, which is the answer's. */
  readonly problem?: (problem: Problem, request: EdgeRequest) => Problem;
  /** Whether texts of a backend's INTERNAL, UNKNOWN and DATA_LOSS reach callers; default mask. */
  readonly internalErrors?: "mask" | "show";
  /** What happens to members the contract does not know; default drop. */
  readonly unknownMembers?: "drop" | "reject";
  /** Query parameters taken and forgotten where they name no field; a trailing `*` is a prefix. Default `utm_*` and names of API keys. */
  readonly ignoredQueryParameters?: readonly string[];
  /** Backend metadata (lower case) that becomes REST answer headers; default none. */
  readonly responseHeaders?: readonly string[];
  /** Request headers (lower case; a trailing `*` is a prefix) never passed to backends, beside the edge's own list. */
  readonly deniedHeaders?: readonly string[];
  readonly cors?: CorsOptions;
  /** Origins of pages that may open WebSockets, beside pages of the host they call; default those of `cors`. */
  readonly webSocketOrigins?: readonly string[];
  readonly limits?: Partial<EdgeLimits>;
}
