import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { badRequest, type EdgeError, toEdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { LocalCall, LocalHandler } from "../options.ts";
import {
  type Call,
  type CallListener,
  type CallRequest,
  type Failure,
  failed,
  type Outcome,
} from "./call.ts";

const noBytes = new Uint8Array(0);

/** A backend within the process: calls are answered by a function of the gateway instead of by a connection. */
export class LocalBackend {
  readonly #method: DescMethod;
  readonly #handler: LocalHandler;

  constructor(method: DescMethod, handler: LocalHandler) {
    this.#method = method;
    this.#handler = handler;
  }

  /** Starts a unary call; it ends by its answer, its deadline or the caller's leaving, whichever is first. */
  call(request: CallRequest, listener: CallListener): Call {
    return new Run(this.#method, this.#handler, request, listener);
  }
}

class Run implements Call {
  readonly #listener: CallListener;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #ended = false;

  constructor(method: DescMethod, handler: LocalHandler, request: CallRequest, listener: CallListener) {
    this.#listener = listener;
    this.#timer = setTimeout(() => this.#abandon("deadline", "the deadline has passed"), request.timeoutMs);
    const call = localCall(request, this.#abort.signal);
    // Asynchronous from its first step on: the caller of a constructor does not hold the call yet.
    Promise.resolve()
      .then(() => handler(decode(method, request.message ?? noBytes), call))
      .then((answer) => toBinary(method.output, create(method.output, answer)))
      .then(
        (bytes) => this.#answer(bytes, request.maxResponseBytes),
        (thrown: unknown) => this.#finish(outcomeOf(toEdgeError(thrown))),
      );
  }

  cancel(): void {
    this.#abandon("cancelled", "the caller has gone");
  }

  /** Each way takes one message, which is whole: there is nothing to hold back and nothing to add. */
  pause(): void {}

  resume(): void {}

  send(): boolean {
    return true;
  }

  end(): void {}

  #answer(bytes: Uint8Array, maxBytes: number): void {
    if (this.#ended) return;
    if (bytes.length > maxBytes) {
      this.#finish(failed("response-too-large", `the answer is larger than ${maxBytes} bytes`));
      return;
    }
    this.#listener.onHeaders?.({});
    this.#listener.onMessage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#finish({
      code: Code.OK,
      message: "",
      details: undefined,
      headers: {},
      trailers: {},
      failure: undefined,
    });
  }

  #abandon(failure: Failure, message: string): void {
    this.#finish(failed(failure, message));
    this.#abort.abort();
  }

  #finish(outcome: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#listener.onEnd(outcome);
  }
}

function localCall(request: CallRequest, signal: AbortSignal): LocalCall {
  const { metadata } = request;
  return {
    metadata(name) {
      // Later entries are the gateway's own, which replace what the caller sent.
      const at = metadata.findLastIndex((entry, index) => index % 2 === 0 && entry === name);
      return at < 0 ? undefined : metadata[at + 1];
    },
    timeoutMs: request.timeoutMs,
    signal,
  };
}

function decode(method: DescMethod, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.input, bytes);
  } catch {
    throw badRequest("REQUEST_MALFORMED", "the request message could not be read");
  }
}

function outcomeOf(error: EdgeError): Outcome {
  const { code, message } = error;
  return { code, message, details: undefined, headers: {}, trailers: {}, failure: undefined, error };
}
