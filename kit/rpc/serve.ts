import type { EventEmitter } from "node:events";
import type { Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { toServiceError } from "#kit/errors/errors.ts";
import { callerGone, deadlineExceeded } from "./abandonment.ts";
import { answerUnary, endStream } from "./answer.ts";
import type { Next } from "./interceptor.ts";
import type { RpcMethod } from "./method.ts";
import { ServerCall, type Transport } from "./server-call.ts";

// A caller's clock starts before ours, so at its deadline it may cancel while we still have a moment.
const clockToleranceMs = 10;

/** Lets grpc-js call `run` for each call of the method. Open streams are kept in `streams`, to be ended by a drain. */
export function serveMethod(server: Server, method: RpcMethod, run: Next, streams: Set<ServerCall>): void {
  if (method.streams) {
    const serve = (transport: ServerWritableStream<Buffer, Buffer>) =>
      void serveStream(method, run, transport, streams);
    server.register(method.path, serve, sameBytes, sameBytes, "serverStream");
  } else {
    const serve = (transport: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) =>
      void serveUnary(method, run, transport, callback);
    server.register(method.path, serve, sameBytes, sameBytes, "unary");
  }
}

async function serveUnary(
  method: RpcMethod,
  run: Next,
  transport: ServerUnaryCall<Buffer, Buffer>,
  callback: sendUnaryData<Buffer>,
): Promise<void> {
  const call = openCall(method, transport);
  await runToEnd(call, run);
  answerUnary(call, callback);
}

async function serveStream(
  method: RpcMethod,
  run: Next,
  transport: ServerWritableStream<Buffer, Buffer>,
  streams: Set<ServerCall>,
): Promise<void> {
  const call = openCall(method, transport);
  streams.add(call);
  await runToEnd(call, run);
  streams.delete(call);
  endStream(call);
}

// What is thrown outside of the errors interceptor is a fault in reporting; it fails the call, not the process.
async function runToEnd(call: ServerCall, run: Next): Promise<void> {
  try {
    await run(call);
  } catch (error) {
    call.failure ??= toServiceError(error);
  }
  call.ended = true;
}

function openCall(method: RpcMethod, transport: Transport): ServerCall {
  const call = new ServerCall(method, transport);
  // grpc-js says "cancelled" at the end of every call, also of one that was answered.
  const events: EventEmitter = transport;
  events.on("cancelled", () => {
    if (!call.ended)
      call.abandon(call.deadline.remainingMs() > clockToleranceMs ? callerGone() : deadlineExceeded());
  });
  return call;
}

// Messages are decoded and encoded by interceptors and handlers' wrappers, where a fault gets a reason and a log line.
function sameBytes(bytes: Buffer): Buffer {
  return bytes;
}
