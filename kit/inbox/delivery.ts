import { fromBinary } from "@bufbuild/protobuf";
import type { JsMsg } from "@nats-io/jetstream";
import type { EventName } from "#kit/nats/event-names.ts";
import type { Consumer, EventContext } from "./inbox.ts";

/** One offered event, decoded, with the reaction it is for. */
export interface Delivery {
  readonly message: JsMsg;
  readonly consumer: Consumer;
  readonly event: unknown;
  readonly context: EventContext;
}

/** The reactions of one service to one stream, by event type. */
export type ConsumersByType = ReadonlyMap<string, { readonly consumer: Consumer; readonly name: EventName }>;

/**
 * Decodes an offered event; undefined when nothing here reacts to its type.
 * @throws when the payload is not a message of its type, or an attribute is missing.
 */
export function toDelivery(message: JsMsg, consumers: ConsumersByType): Delivery | undefined {
  const headers = message.headers;
  const found = consumers.get(headers?.get("ce-type") ?? "");
  if (!headers || !found) return undefined;
  const { consumer } = found;
  return {
    message,
    consumer,
    event: fromBinary(consumer.event, message.data),
    context: {
      eventId: required(headers.get("ce-id"), "ce-id"),
      aggregateId: required(headers.get("ce-subject"), "ce-subject"),
      aggregateVersion: BigInt(required(headers.get("souk-aggregate-version"), "souk-aggregate-version")),
      correlationId: headers.get("x-correlation-id"),
      traceparent: headers.get("traceparent") || undefined,
      occurredAt: new Date(required(headers.get("ce-time"), "ce-time")),
      deliveries: message.info.deliveryCount,
    },
  };
}

function required(value: string, name: string) {
  if (value === "") throw new Error(`the event has no attribute ${name}`);
  return value;
}
