// gRPC in and out, from the contract's descriptors alone. Every call is bounded in time, size and number; its caller is
// known and allowed before a handler sees it; its request obeys the contract's rules; whatever a handler throws leaves
// as a status with a declared reason. The server is in server.ts, the client in client.ts.
import type {
  DescMessage,
  DescMethod,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Call, Principal } from "./call.ts";

/** A message, what `create` makes it from, or its bytes where a handler has only those. */
export type Answer = Message | MessageInitShape<DescMessage> | Uint8Array;

/** Answers a unary method. Throws a ServiceError to refuse; anything else it throws is a fault of the service. */
export type UnaryHandler = (request: never, call: Call) => Promise<Answer> | Answer;

/**
 * Answers a server-streaming method. When the call ends first, it is left at its next `yield`; one that waits long
 * between two watches `call.signal`.
 */
export type StreamHandler = (request: never, call: Call) => AsyncIterable<Answer>;

/** Handlers by local method name (`reserveStock`). */
export type Handlers = Readonly<Record<string, UnaryHandler | StreamHandler>>;

/** A service's contract with what answers it. */
export interface RpcService {
  readonly descriptor: DescService;
  readonly handlers: Handlers;
}

/** The handler the contract asks for, by method. */
export type HandlerOf<M extends DescMethod> = M["methodKind"] extends "server_streaming"
  ? (request: MessageShape<M["input"]>, call: Call) => AsyncIterable<MessageInitShape<M["output"]>>
  : (
      request: MessageShape<M["input"]>,
      call: Call,
    ) => Promise<MessageInitShape<M["output"]>> | MessageInitShape<M["output"]>;

/** One handler for each method of a service. */
export type HandlersOf<S extends DescService> = {
  readonly [Name in keyof S["method"]]: HandlerOf<S["method"][Name]>;
};

/**
 * Says whom a bearer token names. Returns at once for a token it has seen; throws a ServiceError (TOKEN_INVALID) for
 * one that must not be believed.
 */
export type Verify = (token: string) => Principal | Promise<Principal>;
