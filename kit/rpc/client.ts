import type {
  DescMessage,
  DescMethod,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Retry } from "#gen/souk/options/v1/options_pb.ts";
import type { Metrics } from "#kit/telemetry/telemetry.ts";
import { readerStopped } from "./abandonment.ts";
import { readAnswers } from "./answer-stream.ts";
import { attemptUnary } from "./attempt.ts";
import { type Callee, type CalleeLimits, createCallee, defaultCalleeLimits } from "./callee.ts";
import { type Channel, createChannel } from "./channel.ts";
import { startReport } from "./client-report.ts";
import { type RpcMethod, readMethods } from "./method.ts";
import { type CallOptions, type Outgoing, prepareCall, type TokenSource } from "./outgoing.ts";
import { createRetryBudget, type RetryBudget, retriesOf, withRetries } from "./retry.ts";

export { onRecovery } from "./recovery.ts";

/** What a client needs. */
export interface ClientOptions {
  /** `http://host:port`. */
  readonly url: string;
  /** The service's own token, for calls that do not go on as somebody else. */
  readonly token?: TokenSource | undefined;
  readonly metrics?: Metrics | undefined;
  /** Where they differ from {@link defaultCalleeLimits}. */
  readonly limits?: Partial<CalleeLimits> | undefined;
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
  /** Takes no more calls; those under way may end, then the connection goes. */
  close(): void;
};

interface Connection {
  readonly channel: Channel;
  /** One for reading, one for changing: a callee may answer from memory while its database is away. */
  readonly callees: { readonly reads: Callee; readonly changes: Callee };
  readonly budget: RetryBudget;
  readonly ownToken: TokenSource | undefined;
  readonly metrics: Metrics | undefined;
}

/** A client of a service at a URL. It connects with its first call and stays connected. */
export function createClient<S extends DescService>(descriptor: S, options: ClientOptions): Client<S> {
  const limits = { ...defaultCalleeLimits, ...options.limits };
  const connection: Connection = {
    channel: createChannel(options.url),
    callees: { reads: createCallee(limits), changes: createCallee(limits) },
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

type Init = MessageInitShape<DescMessage>;

function unaryMethod(method: RpcMethod, connection: Connection) {
  const { channel, callees, budget, ownToken, metrics } = connection;
  const callee = calleeOf(method, callees);
  return async (request: Init, options: CallOptions = {}): Promise<Message> => {
    const outgoing = await prepareCall(method, channel, request, options, ownToken);
    const { deadline, signal } = outgoing;
    const terms = { retries: retriesOf(method, options.retries), budget, deadline, signal };
    return withRetries(() => callee.attempt(() => reportedAttempt(outgoing, metrics)), terms);
  };
}

async function reportedAttempt(outgoing: Outgoing, metrics: Metrics | undefined): Promise<Message> {
  const report = startReport(outgoing, metrics);
  try {
    const answer = await attemptUnary(report.attempt);
    report.end();
    return answer;
  } catch (error) {
    report.end(error);
    throw error;
  }
}

const calleeOf = ({ policy }: RpcMethod, { reads, changes }: Connection["callees"]) =>
  policy.retry === Retry.SAFE ? reads : changes;

function streamMethod(method: RpcMethod, { channel, callees, ownToken, metrics }: Connection) {
  const callee = calleeOf(method, callees);
  return async function* (request: Init, options: CallOptions = {}): AsyncGenerator<Message> {
    const outgoing = await prepareCall(method, channel, request, options, ownToken);
    callee.enter();
    const report = startReport(outgoing, metrics);
    let failure: unknown = readerStopped();
    try {
      yield* readAnswers(report.attempt);
      failure = undefined;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      callee.leave();
      report.end(failure);
    }
  };
}
