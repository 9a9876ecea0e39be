import type { RpcMethod } from "./method.ts";
import type { ServerCall } from "./server-call.ts";

/** The rest of a call. Throws or rejects when the call fails. */
export type Next = (call: ServerCall) => Promise<void>;

/**
 * One concern of every call. It is given the method when the process starts, so it decides then what there is to do,
 * and returns `next` itself when that is nothing. grpc-js has interceptors of its own, which cost more per call than all
 * of ours together.
 */
export type Interceptor = (method: RpcMethod, next: Next) => Next;

/** Puts interceptors around a handler, the first outermost. */
export function intercept(method: RpcMethod, interceptors: readonly Interceptor[], handler: Next): Next {
  return interceptors.reduceRight((next, interceptor) => interceptor(method, next), handler);
}
