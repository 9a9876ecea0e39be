import type { ConsumerMessages } from "@nats-io/jetstream";
import type { Subscription } from "@nats-io/transport-node";
import { delay } from "#kit/time/time.ts";

/** A server that is away confirms nothing; then nothing arrives from it either. */
const confirmedWithinMs = 1_000;

/**
 * Asks for no more, and ends the iterator when all that the server had sent by then has arrived. By itself it would drop what
 * is still on its way, and the server would wait for it as long as for an event that is being worked on.
 */
export async function stopTaking(messages: ConsumerMessages): Promise<void> {
  // The library keeps its subscription to itself, and offers no way to drain it.
  const { sub } = messages as unknown as { readonly sub: Subscription };
  const given = new AbortController();
  const timedOut = delay(confirmedWithinMs, given.signal).catch(() => {});
  await Promise.race([sub.drain().catch(() => {}), timedOut]);
  given.abort();
  messages.stop();
}

/** Stops an iterator that the server has left, or whose stream or consumer it has lost. */
export async function stopWhenStalled(messages: ConsumerMessages): Promise<void> {
  for await (const status of messages.status()) {
    const isLost = status.type === "stream_not_found" || status.type === "consumer_not_found";
    if (isLost || (status.type === "heartbeats_missed" && status.count >= 2)) messages.stop();
  }
}
