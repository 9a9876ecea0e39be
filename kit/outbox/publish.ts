import { headers as natsHeaders } from "@nats-io/transport-node";
import { streamOf, subjectsOf } from "#kit/nats/event-names.ts";
import { ensureStream, type Nats } from "#kit/nats/nats.ts";

/** An event as it lies in the outbox. */
export interface StoredEvent {
  readonly event_id: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** A publish that was under way when the broker died has no answer, and everything behind it waits for so long. */
const publishTimeoutMs = 2_000;

/**
 * Publishes events side by side and waits until the stream has them all. Where one cannot be published, its stream is made sure
 * of before the error is thrown: a broker that lost its data has forgotten the stream too.
 */
export async function publishAll(nats: Nats, events: readonly StoredEvent[]): Promise<void> {
  const outcomes = await Promise.allSettled(events.map((event) => publish(nats, event)));
  const failed = outcomes.findIndex(({ status }) => status === "rejected");
  if (failed < 0) return;
  const subjects = new Set(
    outcomes.flatMap(({ status }, index) =>
      status === "rejected" ? [subjectsOf(events[index]?.subject ?? "")] : [],
    ),
  );
  await Promise.allSettled(
    [...subjects].map((subject) => ensureStream(nats, { name: streamOf(subject), subjects: subject })),
  );
  throw (outcomes[failed] as PromiseRejectedResult).reason;
}

async function publish({ jetstream }: Nats, { event_id: msgID, subject, headers, payload }: StoredEvent) {
  const attached = natsHeaders();
  for (const name in headers) attached.set(name, headers[name] ?? "");
  await jetstream.publish(subject, payload, {
    msgID,
    headers: attached,
    expect: { streamName: streamOf(subject) },
    timeout: publishTimeoutMs,
  });
}
