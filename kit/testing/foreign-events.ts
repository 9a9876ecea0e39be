import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { headers as natsHeaders } from "@nats-io/transport-node";
import { newUuid } from "#kit/ids/ids.ts";
import { eventName } from "#kit/nats/event-names.ts";
import { connectNats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { testEnvironment } from "./testing.ts";

/** An event of another service, as that service's relay would publish it. */
export interface ForeignEvent<D extends DescMessage> {
  readonly message: MessageInitShape<D>;
  readonly aggregateVersion: number;
  /** The version that is to be applied before; unclaimed where unset. */
  readonly previousVersion?: number | undefined;
  /** The same id again is the same event again. */
  readonly eventId?: string;
  /** Bytes to send in the message's place. */
  readonly payload?: Uint8Array;
}

/** Speaks for services that do not run in a test; the one under test has made their streams when it is up. */
export interface ForeignEvents {
  /** Publishes events of one type so that they arrive together. */
  publish<D extends DescMessage>(desc: D, events: readonly ForeignEvent<D>[]): Promise<void>;
  close(): Promise<void>;
}

/** Connects to the test run's NATS. */
export async function connectForeignEvents(prefix: string): Promise<ForeignEvents> {
  const log = createLogger({ service: "test", level: "error" });
  const nats = await connectNats({ url: testEnvironment().natsUrl, name: "test", log });
  return {
    async publish(desc, events) {
      const name = eventName(desc, prefix);
      await Promise.all(
        events.map(({ message, aggregateVersion, previousVersion, eventId = newUuid(), payload }) => {
          const full = create(desc, message);
          const headers = natsHeaders();
          headers.set("ce-id", eventId);
          headers.set("ce-type", name.type);
          headers.set("ce-subject", String((full as unknown as Record<string, unknown>)[name.idProperty]));
          headers.set("ce-time", new Date().toISOString());
          headers.set("souk-aggregate-version", String(aggregateVersion));
          if (previousVersion !== undefined) headers.set("souk-previous-version", String(previousVersion));
          headers.set("x-correlation-id", eventId);
          return nats.jetstream.publish(name.subject, payload ?? toBinary(desc, full), { headers });
        }),
      );
    },
    close: () => nats.close(),
  };
}
