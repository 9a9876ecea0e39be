import { fromBinary, type Message } from "@bufbuild/protobuf";
import { type Channel, type StatusObject, status as statusCode } from "@grpc/grpc-js";
import { fromStatus, type ServiceError, toServiceError } from "#kit/errors/errors.ts";
import { asBuffer } from "./answer.ts";
import type { Outgoing } from "./outgoing.ts";
import { forbidsRetry, markExhausted } from "./retry-marks.ts";

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
      onReceiveMetadata: nothing,
      onReceiveMessage: (bytes: Buffer) => {
        answer = bytes;
      },
      onReceiveStatus: (status) => {
        release();
        if (status.code !== statusCode.OK) reject(toError(status, outgoing.signal));
        else settle(outgoing, answer, resolve, reject);
      },
    });
    sendRequest(call, outgoing);
    call.startRead();
  });
}

function settle(
  { rpc }: Outgoing,
  bytes: Buffer | undefined,
  resolve: (answer: Message) => void,
  reject: (error: ServiceError) => void,
): void {
  try {
    if (bytes === undefined) throw new Error(`${rpc.name} answered nothing`);
    resolve(fromBinary(rpc.output, bytes));
  } catch (error) {
    reject(toServiceError(error));
  }
}

/** Opens a call; it must be started next. */
export function openCall({ channel, rpc, deadline }: Outgoing): ChannelCall {
  return channel.createCall(rpc.path, Date.now() + deadline.remainingMs(), null, null, null);
}

/** Sends the one request of a started call. */
export function sendRequest(call: ChannelCall, { bytes }: Outgoing): void {
  call.sendMessageWithContext({}, asBuffer(bytes));
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

/**
 * The error a callee's status stands for; marked, where the callee says that repeating is in vain. CANCELLED is ours to say: where
 * nobody here gave up, it is how grpc-js may tell of a connection that broke, or how the callee tells of another caller's end.
 */
export function toError(status: StatusObject, signal: AbortSignal | undefined): ServiceError {
  const details = status.metadata.get("grpc-status-details-bin")[0];
  const uncalled = status.code === statusCode.CANCELLED && signal?.aborted !== true;
  const error = fromStatus({
    code: uncalled ? statusCode.UNAVAILABLE : status.code,
    message: status.details,
    details: uncalled || typeof details === "string" ? undefined : details,
  });
  if (forbidsRetry(status)) markExhausted(error);
  return error;
}
