import { headers as natsHeaders } from "@nats-io/transport-node";
import { createRandom } from "../random.ts";
import { eventStreams, readStream, type StreamMessage, type Streams, withStreams } from "../streams.ts";

/** A stretch of the streams that is published again. */
export interface Repetition {
  readonly count: number;
  /** `new` takes the newest events, `old` a stretch from anywhere. */
  readonly age: "new" | "old";
}

/**
 * Publishes events again, in another order and without their message ids, so that the stream's own de-duplication does not
 * see them: what a redelivery, a republished range or a second relay look like to consumers. Tells how many.
 */
export async function repeatEvents(natsUrl: string, { count, age }: Repetition): Promise<number> {
  return await withStreams(natsUrl, async (streams) => {
    const names = await eventStreams(streams);
    const each = Math.ceil(count / Math.max(1, names.length));
    const copied = await Promise.all(names.map((name) => repeatStream(streams, name, each, age)));
    return copied.reduce((sum, copies) => sum + copies, 0);
  });
}

async function repeatStream(streams: Streams, stream: string, count: number, age: Repetition["age"]) {
  const { state } = await streams.manager.streams.info(stream);
  // The position is as good as random, and no two repetitions find the stream at the same length.
  const random = createRandom(state.last_seq, stream);
  const newest = Math.max(1, state.last_seq - count + 1);
  const fromSeq = age === "new" ? newest : random.integer(1, newest);
  const messages = (await readStream(streams, stream, { fromSeq })).slice(0, count);
  for (const message of random.shuffle(messages)) await publishCopy(streams, message);
  return messages.length;
}

async function publishCopy({ client }: Streams, { subject, header, headerNames, data }: StreamMessage) {
  const headers = natsHeaders();
  for (const name of headerNames) if (!name.startsWith("Nats-")) headers.set(name, header(name));
  await client.publish(subject, data, { headers, timeout: 5_000 });
}
