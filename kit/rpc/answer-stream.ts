import { fromBinary, type Message } from "@bufbuild/protobuf";
import { type StatusObject, status as statusCode } from "@grpc/grpc-js";
import { toServiceError } from "#kit/errors/errors.ts";
import { type ChannelCall, cancelWithSignal, openCall, sendRequest, toError } from "./attempt.ts";
import type { Outgoing } from "./outgoing.ts";

/**
 * The messages of a server stream, read one at a time as they are asked for, so that a slow reader holds up the sender
 * and not this process's memory. Leaving the loop cancels the call. Throws the error that the stream ends with.
 */
export async function* readAnswers(outgoing: Outgoing): AsyncGenerator<Message> {
  const inbox = new Inbox(outgoing.signal);
  const call = openCall(outgoing);
  const release = cancelWithSignal(call, outgoing.signal);
  startStream(call, outgoing, inbox);
  try {
    for (;;) {
      call.startRead();
      const bytes = await inbox.next();
      if (bytes === undefined) return;
      yield decode(outgoing, bytes);
    }
  } finally {
    release();
    if (!inbox.ended) call.cancelWithStatus(statusCode.CANCELLED, "The reader has stopped.");
  }
}

function startStream(call: ChannelCall, outgoing: Outgoing, inbox: Inbox): void {
  call.start(outgoing.metadata, {
    onReceiveMetadata: () => undefined,
    onReceiveMessage: (bytes: Buffer) => inbox.put(bytes),
    onReceiveStatus: (status) => inbox.end(status),
  });
  sendRequest(call, outgoing);
}

function decode({ rpc }: Outgoing, bytes: Buffer): Message {
  try {
    return fromBinary(rpc.output, bytes);
  } catch (error) {
    throw toServiceError(error);
  }
}

// Between a call that pushes and a loop that pulls. Holds one message at most: the next is asked for when it is taken.
class Inbox {
  readonly #signal: AbortSignal | undefined;
  #waiting: { resolve(bytes: Buffer | undefined): void; reject(error: Error): void } | undefined;
  #messages: Buffer[] = [];
  #status: StatusObject | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  get ended(): boolean {
    return this.#status !== undefined;
  }

  put(bytes: Buffer): void {
    this.#messages.push(bytes);
    this.#deliver();
  }

  end(status: StatusObject): void {
    this.#status = status;
    this.#deliver();
  }

  /** The next message, or undefined at the end of a stream that went well. */
  next(): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#deliver();
    });
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || (this.#messages.length === 0 && this.#status === undefined)) return;
    this.#waiting = undefined;
    const bytes = this.#messages.shift();
    if (bytes !== undefined || this.#status?.code === statusCode.OK) waiting.resolve(bytes);
    else waiting.reject(toError(this.#status as StatusObject, this.#signal));
  }
}
