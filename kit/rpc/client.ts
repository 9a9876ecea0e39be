import {
  create,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Channel, Metadata } from "@grpc/grpc-js";
import { newUuid } from "#kit/ids/ids.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import { type Deadline, deadlineIn } from "#kit/time/time.ts";
import { deadlineExceeded } from "./abandonment.ts";
import { readAnswers } from "./answer-stream.ts";
import { attemptUnary, type Outgoing } from "./attempt.ts";
import type { CallContext } from "./call.ts";
import { type Callee, type CalleeLimits, createCallee, defaultCalleeLimits } from "./callee.ts";
import { createChannel } from "./channel.ts";
import { type RpcMethod, readMethods } from "./method.ts";
import { createRetryBudget, type RetryBudget, retriesOf, withRetries } from "./retry.ts";

/** Time kept back from an inherited deadline, so that the caller hears why it failed before its own time is over. */
const reserveMs = 20;

/** What a client needs. */
export interface ClientOptions {
  /** `http://host:port`. */
  readonly url: string;
  /** The service's own token, for calls that do not go on as somebody else. */
  readonly token?: () => string | Promise<string>;
  readonly metrics?: Metrics;
  /** Where they differ from {@link defaultCalleeLimits}. */
  readonly limits?: Partial<CalleeLimits>;
}

/** What may be said about one call. */
export interface CallOptions {
  /** At most this long; the method's policy and the deadline of `call` can only shorten it. */
  readonly timeoutMs?: number;
  readonly idempotencyKey?: string;
  /** Where there is no `call` to inherit it from. */
  readonly correlationId?: string;
  /** The work this call is part of: deadline, cancellation, correlation id and trace are inherited. */
  readonly call?: CallContext;
  /** Sends the token of `call` instead of the service's own. */
  readonly forwardToken?: boolean;
  /** Sends this token. */
  readonly token?: string;
  /** Repeats after UNAVAILABLE, at most 2. Methods that are safe are repeated without being asked. */
  readonly retries?: number;
}

type ClientMethod<M extends DescMethod> = M["methodKind"] extends "server_streaming"
  ? (
      request: MessageInitShape<M["input"]>,
      options?: CallOptions,
    ) => AsyncIterableIterator<MessageShape<M["output"]>>
  : (request: MessageInitShape<M["input"]>, options?: CallOptions) => Promise<MessageShape<M["output"]>>;

/** A method for each of the contract's; they throw ServiceErrors, as the callee's handlers did. */
export type Client<S extends DescService> = {
  readonly [Name in keyof S["method"]]: ClientMethod<S["method"][Name]>;
} & {
  /** Lets the connection go; calls under way fail. */
  close(): void;
};

interface Connection {
  readonly channel: Channel;
  readonly callee: Callee;
  readonly budget: RetryBudget;
  readonly ownToken: (() => string | Promise<string>) | undefined;
  readonly metrics: Metrics | undefined;
}

/** A client of a service at a URL. It connects with its first call and stays connected. */
export function createClient<S extends DescService>(descriptor: S, options: ClientOptions): Client<S> {
  const connection: Connection = {
    channel: createChannel(options.url),
    callee: createCallee({ ...defaultCalleeLimits, ...options.limits }),
    budget: createRetryBudget(),
    ownToken: options.token,
    metrics: options.metrics,
  };
  const methods = readMethods(descriptor).map((method) => [
    method.descriptor.localName,
    method.streams ? streamMethod(method, connection) : unaryMethod(method, connection),
  ]);
  // The names and types are those of the descriptor, which the compiler cannot follow through entries.
  return { ...Object.fromEntries(methods), close: () => connection.channel.close() } as Client<S>;
}

type Init = MessageInitShape<DescMethod["input"]>;

function unaryMethod(method: RpcMethod, connection: Connection) {
  return async (request: Init, options: CallOptions = {}): Promise<Message> => {
    const deadline = deadlineOf(method, options);
    const outgoing = await prepare(method, connection, request, options, deadline);
    const terms = {
      retries: retriesOf(method, options.retries),
      budget: connection.budget,
      deadline,
      signal: outgoing.signal,
    };
    return withRetries(() => connection.callee.attempt(() => attemptUnary(outgoing)), terms);
  };
}

function streamMethod(method: RpcMethod, connection: Connection) {
  return async function* (request: Init, options: CallOptions = {}): AsyncGenerator<Message> {
    const outgoing = await prepare(method, connection, request, options, deadlineOf(method, options));
    connection.callee.enter();
    try {
      yield* readAnswers(outgoing);
    } finally {
      connection.callee.leave();
    }
  };
}

function deadlineOf(
  method: RpcMethod,
  { call, timeoutMs = Number.POSITIVE_INFINITY }: CallOptions,
): Deadline {
  const inheritedMs = (call?.deadline?.remainingMs() ?? Number.POSITIVE_INFINITY) - reserveMs;
  const leftMs = Math.min(inheritedMs, method.deadlineMs, timeoutMs);
  if (leftMs <= 0) throw deadlineExceeded();
  return deadlineIn(leftMs);
}

async function prepare(
  method: RpcMethod,
  connection: Connection,
  request: Init,
  options: CallOptions,
  deadline: Deadline,
): Promise<Outgoing> {
  const token = tokenFor(connection, options);
  const bytes = toBinary(method.input, create(method.input, request));
  return {
    channel: connection.channel,
    method: method.descriptor,
    path: method.path,
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    metadata: metadataFor(options, typeof token === "object" ? await token : token),
    deadlineAtMs: Date.now() + deadline.remainingMs(),
    signal: options.call?.signal,
  };
}

function tokenFor(connection: Connection, { call, forwardToken, token }: CallOptions) {
  return token ?? (forwardToken === true ? call?.token : connection.ownToken?.());
}

function metadataFor(
  { call, correlationId, idempotencyKey }: CallOptions,
  token: string | undefined,
): Metadata {
  const metadata = new Metadata();
  metadata.set("x-correlation-id", call?.correlationId ?? correlationId ?? newUuid());
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  if (idempotencyKey !== undefined) metadata.set("idempotency-key", idempotencyKey);
  if (call?.traceparent !== undefined) metadata.set("traceparent", call.traceparent);
  return metadata;
}
