import type { IncomingHttpHeaders } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  type ClientCompatRequest,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "#gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { type Code as ErrorCode, StreamType } from "#gen/connectrpc/conformance/v1/config_pb.ts";
import {
  type ConformancePayload,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  ErrorSchema,
  type Header,
  HeaderSchema,
  UnaryResponseSchema,
} from "#gen/connectrpc/conformance/v1/service_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { Code } from "../grpc/grpc-code.ts";
import { type Call, failed, type Outcome } from "../upstream/call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { maxTimeoutMs } from "./backend.ts";

/** One call of the suite, and what became of it. */
export class ConformanceCall {
  readonly #upstream: Upstream;
  readonly #request: ClientCompatRequest;
  readonly #payloads: ConformancePayload[] = [];
  readonly #ended = Promise.withResolvers<Outcome>();
  #headers: IncomingHttpHeaders = {};
  #answers = 0;
  #unsent = 0;
  #wake: (() => void) | undefined;
  #over = false;
  #unreadable = false;

  constructor(upstream: Upstream, request: ClientCompatRequest) {
    this.#upstream = upstream;
    this.#request = request;
  }

  async run(): Promise<ClientResponseResult> {
    const { requestMessages, streamType, requestDelayMs } = this.#request;
    const messages = requestMessages.map(({ value }) => value);
    if (streamType === StreamType.UNARY || streamType === StreamType.SERVER_STREAM) {
      await sleep(requestDelayMs);
      const call = this.#start(messages[0] ?? new Uint8Array());
      await this.#cancelAfterSending(call);
    } else {
      const call = this.#start(undefined);
      await this.#sendAll(call, messages);
      if (this.#request.cancel?.cancelTiming.case === "beforeCloseSend") call.cancel();
      else call.end();
      await this.#cancelAfterSending(call);
    }
    return this.#resultOf(await this.#ended.promise);
  }

  #start(message: Uint8Array | undefined): Call {
    const { service, method, requestHeaders, timeoutMs, messageReceiveLimit } = this.#request;
    const call: Call = this.#upstream.call(
      {
        path: `/${service}/${method}`,
        metadata: requestHeaders.flatMap(({ name, value }) =>
          value.flatMap((item) => [name.toLowerCase(), item]),
        ),
        message,
        timeoutMs: timeoutMs ?? maxTimeoutMs,
        maxResponseBytes: messageReceiveLimit || 64 * 1024 * 1024,
        retryable: false,
      },
      {
        onHeaders: (headers) => {
          this.#headers = headers;
        },
        onMessage: (bytes) => {
          const payload = payloadOf(bytes);
          if (payload === undefined) this.#unreadable = true;
          else this.#payloads.push(withoutCap(payload));
          this.#answers++;
          this.#wake?.();
          const { cancelTiming } = this.#request.cancel ?? {};
          if (cancelTiming?.case === "afterNumResponses" && this.#answers >= cancelTiming.value)
            process.nextTick(() => call.cancel());
        },
        onEnd: (outcome) => {
          this.#over = true;
          this.#wake?.();
          this.#ended.resolve(outcome);
        },
      },
    );
    return call;
  }

  async #sendAll(call: Call, messages: readonly Uint8Array[]): Promise<void> {
    const { requestDelayMs, streamType } = this.#request;
    for (const [at, message] of messages.entries()) {
      await sleep(requestDelayMs);
      if (this.#over) {
        this.#unsent = messages.length - at;
        return;
      }
      call.send(message);
      if (streamType === StreamType.FULL_DUPLEX_BIDI_STREAM) await this.#answered(at + 1);
    }
  }

  /** Resolves when so many answers are there, or there will be no more. */
  async #answered(count: number): Promise<void> {
    while (this.#answers < count && !this.#over)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async #cancelAfterSending(call: Call): Promise<void> {
    const { cancelTiming } = this.#request.cancel ?? {};
    if (cancelTiming?.case !== "afterCloseSendMs") return;
    await sleep(cancelTiming.value);
    call.cancel();
  }

  #resultOf(ended: Outcome): ClientResponseResult {
    const { streamType } = this.#request;
    const once = streamType === StreamType.UNARY || streamType === StreamType.CLIENT_STREAM;
    // As the edge does with a call that must have one answer.
    const wrong = this.#unreadable || (once && ended.code === Code.OK && this.#answers !== 1);
    const outcome = wrong ? failed("malformed", "not one message that can be read") : ended;
    const details =
      outcome.details === undefined
        ? []
        : fromBinary(StatusSchema, outcome.details).details.map(withoutCapIn);
    const whole = outcome.headers["grpc-status"] !== undefined;
    return create(ClientResponseResultSchema, {
      responseHeaders: headersOf(whole ? {} : this.#headers),
      payloads: wrong ? [] : this.#payloads,
      responseTrailers: headersOf(whole ? outcome.headers : outcome.trailers),
      numUnsentRequests: this.#unsent,
      ...(outcome.code !== Code.OK && {
        error: create(ErrorSchema, { code: outcome.code as ErrorCode, message: outcome.message, details }),
      }),
    });
  }
}

/** The payload, which all answers of the suite have in the same place; undefined for what is no such message. */
function payloadOf(bytes: Uint8Array): ConformancePayload | undefined {
  try {
    const { payload } = fromBinary(UnaryResponseSchema, bytes);
    return payload ?? create(ConformancePayloadSchema);
  } catch {
    return undefined;
  }
}

/** The client always sends a deadline; the cap, where the suite asks for none, is not one that it knows. */
function withoutCap(payload: ConformancePayload): ConformancePayload {
  if (payload.requestInfo !== undefined) forgetCap(payload.requestInfo);
  return payload;
}

/** An error that came instead of an answer tells of the request in a detail. */
function withoutCapIn(detail: Any): Any {
  const info = anyUnpack(detail, ConformancePayload_RequestInfoSchema);
  if (info === undefined) return detail;
  forgetCap(info);
  return anyPack(ConformancePayload_RequestInfoSchema, info);
}

function forgetCap(info: ConformancePayload_RequestInfo): void {
  if (info.timeoutMs !== undefined && info.timeoutMs > maxTimeoutMs / 2) delete info.timeoutMs;
}

function headersOf(headers: IncomingHttpHeaders): Header[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || name.startsWith(":")
      ? []
      : [create(HeaderSchema, { name, value: [value].flat() })],
  );
}
