import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { newUuid } from "#kit/ids/ids.ts";
import { type Deadline, deadlineIn } from "#kit/time/time.ts";
import { deadlineExceeded } from "./abandonment.ts";
import { type CallContext, trackHeader } from "./call.ts";
import type { Channel } from "./channel.ts";
import type { RpcMethod } from "./method.ts";

/** Time kept back from an inherited deadline, so that the caller hears why it failed before its own time is over. */
const reserveMs = 20;

/** What may be said about one call. */
export interface CallOptions {
  /** At most this long; the method's policy and the deadline of `call` can only shorten it. */
  readonly timeoutMs?: number | undefined;
  readonly idempotencyKey?: string | undefined;
  /** Where there is no `call` to inherit it from. */
  readonly correlationId?: string | undefined;
  /** The work this call is part of: deadline, cancellation, correlation id and trace are inherited. */
  readonly call?: CallContext | undefined;
  /** Sends the token of `call` instead of the service's own. */
  readonly forwardToken?: boolean | undefined;
  /** Sends this token. */
  readonly token?: string | undefined;
  /** Repeats after UNAVAILABLE, at most 2. Methods that are safe are repeated without being asked. */
  readonly retries?: number | undefined;
}

/** The service's own token; at once while there is a fresh one. */
export type TokenSource = () => string | Promise<string>;

/** A call ready to be sent, as often as needed. */
export interface Outgoing {
  readonly channel: Channel;
  readonly rpc: RpcMethod;
  readonly bytes: Uint8Array;
  /** Header fields that go with it, names and values in turn. */
  readonly fields: readonly string[];
  /** The span or trace that the call continues. */
  readonly traceparent: string | undefined;
  readonly deadline: Deadline;
  readonly signal: AbortSignal | undefined;
}

/** A request with all that goes along with it. Throws DEADLINE_EXCEEDED where no time is left to ask. */
export async function prepareCall(
  rpc: RpcMethod,
  channel: Channel,
  request: MessageInitShape<DescMessage>,
  options: CallOptions,
  ownToken: TokenSource | undefined,
): Promise<Outgoing> {
  const deadline = deadlineOf(rpc, options);
  const bytes = toBinary(rpc.input, create(rpc.input, request));
  const token = tokenFor(options, ownToken);
  const fields = fieldsFor(options, token instanceof Promise ? await token : token);
  const { signal, traceparent } = options.call ?? {};
  return { channel, rpc, bytes, fields, traceparent, deadline, signal };
}

function deadlineOf(rpc: RpcMethod, { call, timeoutMs = Number.POSITIVE_INFINITY }: CallOptions): Deadline {
  const inheritedMs = (call?.deadline?.remainingMs() ?? Number.POSITIVE_INFINITY) - reserveMs;
  const leftMs = Math.min(inheritedMs, rpc.deadlineMs, timeoutMs);
  if (leftMs <= 0) throw deadlineExceeded();
  return deadlineIn(leftMs);
}

function tokenFor({ call, forwardToken, token }: CallOptions, ownToken: TokenSource | undefined) {
  return token ?? (forwardToken === true ? call?.token : ownToken?.());
}

function fieldsFor(
  { call, correlationId, idempotencyKey }: CallOptions,
  token: string | undefined,
): string[] {
  const fields = ["x-correlation-id", call?.correlationId ?? correlationId ?? newUuid()];
  if (token !== undefined) fields.push("authorization", `Bearer ${token}`);
  if (idempotencyKey !== undefined) fields.push("idempotency-key", idempotencyKey);
  if (call?.track !== undefined) fields.push(trackHeader, call.track);
  for (const text of fields) if (!printable.test(text)) throw new Error("a header field holds no plain text");
  return fields;
}

/** What a field of HTTP may hold (RFC 9110, 5.5), without what only old senders use. */
const printable = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;
