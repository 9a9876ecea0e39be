import type { Metadata } from "@grpc/grpc-js";
import type { AnswerHeaders } from "#kit/wire/http2/header-list.ts";

const pushback = "grpc-retry-pushback-ms";

// A mark beside the error, not in it: errors travel between folders that know nothing of retries.
const exhausted = new WeakSet<Error>();

/** Notes that repeating was tried in vain further down, so that nobody further up repeats it again. */
export function markExhausted(error: Error): void {
  exhausted.add(error);
}

/** Whether repeating was tried in vain for this error or for one that caused it. */
export function isExhausted(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    if (exhausted.has(at)) return true;
  return false;
}

/** Tells the caller not to repeat. */
export function sendPushback(metadata: Metadata): void {
  metadata.set(pushback, "-1");
}

/** Whether the callee says not to repeat; a value that cannot be read means the same. */
export function forbidsRetry(headers: AnswerHeaders | undefined): boolean {
  const value = headers?.[pushback];
  return value !== undefined && !(Number(value) >= 0);
}
