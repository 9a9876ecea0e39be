import { fromBinary } from "@bufbuild/protobuf";
import type { ConsumerGroup } from "./group.ts";
import type { Consumer, EventContext } from "./inbox.ts";
import type { OfferedEvent } from "./offered.ts";

/** One offered event, decoded, with the reaction it is for. */
export interface Delivery {
  readonly offered: OfferedEvent;
  /** Undefined where nothing here reacts to the type, and the event only counts as seen. */
  readonly consumer: Consumer | undefined;
  readonly event: unknown;
  readonly context: EventContext;
  /** The aggregate's version of the event announced before this one; undefined where order is not kept, or not claimed. */
  readonly previousVersion: bigint | undefined;
}

/** An event that no consumer will ever be able to read: trying again does not help. */
export class EventUnreadable extends Error {
  override readonly name = "EventUnreadable";
}

/** An event larger than this is none of ours: as many bytes as the largest request may have. */
const maxPayloadBytes = 262_144;
/** Nothing changes so often; a version above it was not counted. */
const maxVersion = 1_000_000_000_000n;
/** An event's id. */
export const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const maxIdCharacters = 200;

/**
 * Reads an offered event; undefined when it is none of this group's business.
 * @throws EventUnreadable when it is not what its headers say, or says nothing.
 */
export function toDelivery(offered: OfferedEvent, group: ConsumerGroup): Delivery | undefined {
  const { headers, subject } = offered;
  const type = required(headers, "ce-type");
  if (subject !== group.prefix + type.slice(type.indexOf(".")))
    throw new EventUnreadable(`an event of type ${type} has no business under the subject ${subject}`);
  const found = group.byType.get(type);
  if (!found && !group.ordered) return undefined;
  const context = toContext(offered);
  const previousVersion = group.ordered ? previousIn(headers, context.aggregateVersion) : undefined;
  if (!found && previousVersion === undefined) return undefined;
  const event = found && decode(found.consumer, offered.payload);
  return { offered, consumer: found?.consumer, event, context, previousVersion };
}

function toContext({ headers, deliveries }: OfferedEvent): EventContext {
  const eventId = required(headers, "ce-id");
  if (!uuidShape.test(eventId)) throw new EventUnreadable("the event's id is no UUID");
  const aggregateId = idIn(headers);
  const occurredAt = new Date(required(headers, "ce-time"));
  if (Number.isNaN(occurredAt.getTime())) throw new EventUnreadable("the event's time is no time");
  const aggregateVersion = versionIn(headers, "souk-aggregate-version", 1n);
  if (aggregateVersion === undefined) throw new EventUnreadable("the event has no souk-aggregate-version");
  return {
    eventId,
    aggregateId,
    aggregateVersion,
    correlationId: headers["x-correlation-id"] ?? "",
    traceparent: headers.traceparent || undefined,
    occurredAt,
    deliveries,
  };
}

/** An event's place in its aggregate's life. */
export interface Claim {
  readonly aggregateId: string;
  readonly aggregateVersion: bigint;
  readonly previousVersion: bigint | undefined;
}

/** What headers say of an event's place; undefined where they say nothing that makes sense. */
export function claimOf(headers: OfferedEvent["headers"]): Claim | undefined {
  try {
    const aggregateVersion = versionIn(headers, "souk-aggregate-version", 1n);
    if (aggregateVersion === undefined) return undefined;
    const previousVersion = previousIn(headers, aggregateVersion);
    return { aggregateId: idIn(headers), aggregateVersion, previousVersion };
  } catch {
    return undefined;
  }
}

function idIn(headers: OfferedEvent["headers"]): string {
  const aggregateId = required(headers, "ce-subject");
  if (aggregateId.length > maxIdCharacters) throw new EventUnreadable("the aggregate's id is too long");
  return aggregateId;
}

function previousIn(headers: OfferedEvent["headers"], version: bigint): bigint | undefined {
  const previous = versionIn(headers, "souk-previous-version", 0n);
  if (previous !== undefined && previous >= version)
    throw new EventUnreadable(`version ${version} cannot come after version ${previous}`);
  return previous;
}

function decode({ event }: Consumer, payload: Uint8Array): unknown {
  if (payload.length > maxPayloadBytes)
    throw new EventUnreadable(`the event has ${payload.length} bytes; ${maxPayloadBytes} are allowed`);
  try {
    return fromBinary(event, payload);
  } catch {
    throw new EventUnreadable(`the event is no ${event.typeName}`);
  }
}

function required(headers: OfferedEvent["headers"], name: string): string {
  const value = headers[name];
  if (!value) throw new EventUnreadable(`the event has no ${name}`);
  return value;
}

function versionIn(headers: OfferedEvent["headers"], name: string, least: bigint): bigint | undefined {
  const text = headers[name];
  if (text === undefined || text === "") return undefined;
  const version = /^\d{1,13}$/.test(text) ? BigInt(text) : -1n;
  if (version < least || version > maxVersion)
    throw new EventUnreadable(`${name} is no version: ${text.slice(0, 40)}`);
  return version;
}
