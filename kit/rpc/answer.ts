import { create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { Metadata, type ServerWritableStream, type sendUnaryData } from "@grpc/grpc-js";
import { toStatus } from "#kit/errors/errors.ts";
import { isExhausted, sendPushback } from "./retry-marks.ts";
import type { Answer } from "./rpc.ts";
import type { ServerCall } from "./server-call.ts";

/** A status as grpc-js sends it. */
export interface WireFailure {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** A handler's answer as the bytes that go over the wire. */
export function encodeAnswer(schema: DescMessage, answer: Answer): Buffer {
  if (answer instanceof Uint8Array) return asBuffer(answer);
  const message = "$typeName" in answer ? (answer as Message) : create(schema, answer);
  return asBuffer(toBinary(schema, message));
}

/** The same bytes as grpc-js wants them. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Ends a unary call with its answer or its failure. */
export function answerUnary(call: ServerCall, callback: sendUnaryData<Buffer>): void {
  if (call.failure === undefined) {
    sendHeaders(call);
    callback(null, call.answer);
  } else callback(wireFailure(call));
}

/** Ends a stream. */
export function endStream(call: ServerCall): void {
  const stream = call.transport as ServerWritableStream<Buffer, Buffer>;
  if (call.failure === undefined) stream.end();
  else stream.emit("error", wireFailure(call));
}

/** Sends what the handler put into the answer's headers, if anything. */
export function sendHeaders(call: ServerCall): void {
  if (call.responseMetadata !== undefined) call.transport.sendMetadata(call.responseMetadata);
}

function wireFailure(call: ServerCall): WireFailure {
  const status = toStatus(call.failure);
  const metadata = call.responseMetadata ?? new Metadata();
  metadata.set("grpc-status-details-bin", asBuffer(status.details));
  if (isExhausted(call.failure)) sendPushback(metadata);
  return { code: status.code, details: status.message.toWellFormed(), metadata };
}
