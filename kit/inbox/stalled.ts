import type { ConsumerMessages } from "@nats-io/jetstream";

/** Stops an iterator that the server has left, or whose stream or consumer it has lost. */
export async function stopWhenStalled(messages: ConsumerMessages): Promise<void> {
  for await (const status of messages.status()) {
    const isLost = status.type === "stream_not_found" || status.type === "consumer_not_found";
    if (isLost || (status.type === "heartbeats_missed" && status.count >= 2)) messages.stop();
  }
}
