import { type DescMethod, fromBinary, type Message } from "@bufbuild/protobuf";
import { type Channel, type Metadata, type StatusObject, status as statusCode } from "@grpc/grpc-js";
import { fromStatus, type ServiceError, toServiceError } from "#kit/errors/errors.ts";
import { forbidsRetry, markExhausted } from "./exhausted.ts";

/** A call ready to be sent, as often as needed. */
export interface Outgoing {
  readonly channel: Channel;
  readonly method: DescMethod;
  readonly path: string;
  readonly bytes: Buffer;
  readonly metadata: Metadata;
  /** Milliseconds since 1970, as grpc-js counts deadlines. */
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A call as a channel of grpc-js makes it. */
export type ChannelCall = ReturnType<Channel["createCall"]>;

/**
 * Sends a unary call once. It speaks to the channel itself: the client classes of grpc-js put an emitter, an interceptor
 * chain and a stack trace around every call.
 */
export function attemptUnary(outgoing: Outgoing): Promise<Message> {
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined;
    const call = openCall(outgoing);
    const release = cancelWithSignal(call, outgoing.signal);
    call.start(outgoing.metadata, {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (bytes: Buffer) => {
        answer = bytes;
      },
      onReceiveStatus: (status) => {
        release();
        if (status.code !== statusCode.OK) reject(toError(status));
        else decodeAnswer(outgoing.method, answer, resolve, reject);
      },
    });
    sendRequest(call, outgoing);
    call.startRead();
  });
}

/** Opens a call; it must be started next. */
export function openCall({ channel, path, deadlineAtMs }: Outgoing): ChannelCall {
  return channel.createCall(path, deadlineAtMs, null, null, null);
}

/** Sends the one request of a started call. */
export function sendRequest(call: ChannelCall, { bytes }: Outgoing): void {
  call.sendMessageWithContext({}, bytes);
  call.halfClose();
}

/** Cancels the call when the signal aborts; the function returned lets go of the signal. */
export function cancelWithSignal(call: ChannelCall, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return nothing;
  const cancel = () =>
    call.cancelWithStatus(statusCode.CANCELLED, "The caller no longer waits for the answer.");
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel);
  return () => signal.removeEventListener("abort", cancel);
}

function nothing(): void {}

function decodeAnswer(
  method: DescMethod,
  bytes: Buffer | undefined,
  resolve: (answer: Message) => void,
  reject: (error: ServiceError) => void,
): void {
  try {
    if (bytes === undefined) throw new Error(`${method.parent.typeName}/${method.name} answered nothing`);
    resolve(fromBinary(method.output, bytes));
  } catch (error) {
    reject(toServiceError(error));
  }
}

/** The error a callee's status stands for; one that must not be repeated is marked so. */
export function toError(status: StatusObject): ServiceError {
  const details = status.metadata.get("grpc-status-details-bin")[0];
  const error = fromStatus({
    code: status.code,
    message: status.details,
    details: typeof details === "string" ? undefined : details,
  });
  if (forbidsRetry(status.metadata)) markExhausted(error);
  return error;
}
