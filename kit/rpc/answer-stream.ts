import { fromBinary, type Message } from "@bufbuild/protobuf";
import { type ServiceError, toServiceError } from "#kit/errors/errors.ts";
import type { Outgoing } from "./outgoing.ts";
import { WireCall, type WireListener } from "./wire-call.ts";

/**
 * The messages of a server stream, read as they are asked for, so that a slow reader holds up the sender and not this process's
 * memory. Leaving the loop cancels the call. Throws the error that the stream ends with.
 */
export async function* readAnswers(outgoing: Outgoing): AsyncGenerator<Message> {
  const inbox = new Inbox();
  const call = new WireCall(outgoing, inbox);
  try {
    for (;;) {
      if (inbox.isEmpty) call.resume();
      const bytes = await inbox.next();
      call.pause();
      if (bytes === undefined) return;
      yield decode(outgoing, bytes);
    }
  } finally {
    call.cancel();
  }
}

function decode({ rpc }: Outgoing, bytes: Buffer): Message {
  try {
    return fromBinary(rpc.output, bytes);
  } catch (error) {
    throw toServiceError(error);
  }
}

// Between a call that pushes and a loop that pulls. Holds what one read from the socket brought: then the call is paused.
class Inbox implements WireListener {
  #waiting: { resolve(bytes: Buffer | undefined): void; reject(error: Error): void } | undefined;
  readonly #messages: Buffer[] = [];
  #ended = false;
  #failure: ServiceError | undefined;

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  onMessage(bytes: Buffer): void {
    this.#messages.push(bytes);
    this.#deliver();
  }

  onEnd(failure: ServiceError | undefined): void {
    this.#ended = true;
    this.#failure = failure;
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
    if (waiting === undefined || (this.isEmpty && !this.#ended)) return;
    this.#waiting = undefined;
    if (this.isEmpty && this.#failure !== undefined) waiting.reject(this.#failure);
    else waiting.resolve(this.#messages.shift());
  }
}
