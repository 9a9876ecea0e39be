import { once } from "node:events";
import type { ServerWritableStream } from "@grpc/grpc-js";
import { encodeAnswer, sendHeaders } from "./answer.ts";
import type { Next } from "./interceptor.ts";
import type { RpcMethod } from "./method.ts";
import type { StreamHandler, UnaryHandler } from "./rpc.ts";
import type { ServerCall } from "./server-call.ts";

/** A handler as the innermost part of a call. */
export function callHandler(method: RpcMethod, handler: UnaryHandler | StreamHandler): Next {
  return method.streams
    ? callStream(method, handler as StreamHandler)
    : callUnary(method, handler as UnaryHandler);
}

function callUnary(method: RpcMethod, handler: UnaryHandler): Next {
  return async (call) => {
    const answer = await handler(call.request as never, call);
    call.answer = encodeAnswer(method.output, answer);
  };
}

function callStream(method: RpcMethod, handler: StreamHandler): Next {
  return async (call) => {
    const stream = call.transport as ServerWritableStream<Buffer, Buffer>;
    const messages = handler(call.request as never, call);
    sendHeaders(call);
    for await (const message of messages) {
      if (call.abandoned !== undefined) break;
      await write(call, stream, encodeAnswer(method.output, message));
    }
  };
}

// A reader slower than its stream must stop the handler, not fill the process.
async function write(
  call: ServerCall,
  stream: ServerWritableStream<Buffer, Buffer>,
  bytes: Buffer,
): Promise<void> {
  if (stream.write(bytes)) return;
  await once(stream, "drain", { signal: call.signal }).catch(() => undefined);
}
