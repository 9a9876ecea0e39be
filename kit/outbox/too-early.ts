import { headers as natsHeaders } from "@nats-io/transport-node";
import type { Nats } from "#kit/nats/nats.ts";
import type { AnnouncedEvent } from "./outbox.ts";

/** The planted bug `publish-before-commit`: what a service does that publishes inside its transaction. */
export const publishTooEarly =
  ({ jetstream }: Nats) =>
  ({ eventId, subject, headers: attributes, payload }: AnnouncedEvent): void => {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries(JSON.parse(attributes) as Record<string, string>))
      headers.set(name, value);
    jetstream.publish(subject, payload, { msgID: eventId, headers }).catch(() => {});
  };
