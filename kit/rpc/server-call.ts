import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Metadata, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import type { ServiceError } from "#kit/errors/errors.ts";
import { newUuid } from "#kit/ids/ids.ts";
import { type Deadline, deadlineIn } from "#kit/time/time.ts";
import { type Call, type Principal, trackHeader, trackOf } from "./call.ts";
import type { RpcMethod } from "./method.ts";

/** The grpc-js object behind a call; requests and answers are bytes, since messages are decoded by interceptors. */
export type Transport = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/** One call while it goes through the interceptors; each fills in what it finds out. */
export class ServerCall implements Call {
  readonly rpc: RpcMethod;
  readonly transport: Transport;
  readonly correlationId: string;
  readonly deadline: Deadline;
  traceparent: string | undefined;
  principal: Principal | undefined = undefined;
  token: string | undefined = undefined;
  idempotencyKey: string | undefined = undefined;
  /** Set once the bytes are decoded. */
  request: Message | undefined = undefined;
  /** The answer of a unary method. */
  answer: Buffer | undefined = undefined;
  /** Why the call failed; what is thrown inside ends here. */
  failure: ServiceError | undefined = undefined;
  responseMetadata: Metadata | undefined = undefined;
  /** Set when the answer is on its way: from then on nothing can be abandoned. */
  ended = false;
  /** Why nobody waits for the answer any more. */
  abandoned: ServiceError | undefined = undefined;
  #abort: AbortController | undefined = undefined;
  #onAbandoned: ((reason: ServiceError) => void) | undefined = undefined;

  constructor(rpc: RpcMethod, transport: Transport) {
    this.rpc = rpc;
    this.transport = transport;
    this.correlationId = correlationIdFrom(this.metadata("x-correlation-id"));
    this.traceparent = traceparentFrom(this.metadata("traceparent"));
    this.deadline = deadlineIn(Math.min(this.callerTimeoutMs(), rpc.deadlineMs));
  }

  get method(): DescMethod {
    return this.rpc.descriptor;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.abandoned !== undefined) this.#abort.abort(this.abandoned);
    return this.#abort.signal;
  }

  get track(): "canary" | undefined {
    return trackOf(this.metadata(trackHeader));
  }

  /** How long the caller waits, in milliseconds; Infinity where it did not say. */
  callerTimeoutMs(): number {
    return Number(this.transport.getDeadline()) - Date.now();
  }

  /** Tells whoever works on the call to stop. The first reason stays. */
  abandon(reason: ServiceError): void {
    if (this.abandoned !== undefined) return;
    this.abandoned = reason;
    this.#abort?.abort(reason);
    this.#onAbandoned?.(reason);
  }

  /** One listener, told at once or never. */
  onAbandoned(listener: (reason: ServiceError) => void): void {
    this.#onAbandoned = listener;
    if (this.abandoned !== undefined) listener(this.abandoned);
  }

  metadata(name: string): string | undefined {
    const value = this.transport.metadata.get(name)[0];
    return typeof value === "string" ? value : undefined;
  }

  setResponseMetadata(name: string, value: string): void {
    this.responseMetadata ??= new Metadata();
    this.responseMetadata.set(name, value);
  }
}

// A correlation id goes into logs and headers of every service behind this one.
function correlationIdFrom(claimed: string | undefined): string {
  return claimed !== undefined && /^[\x21-\x7e]{1,128}$/.test(claimed) ? claimed : newUuid();
}

function traceparentFrom(claimed: string | undefined): string | undefined {
  return claimed !== undefined && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(claimed)
    ? claimed
    : undefined;
}
