import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { DeadLetterService, type ListParkedEventsRequest } from "#gen/souk/ops/v1/ops_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { type ParkedEvent, readParkedPage, skipMissing } from "#kit/inbox/park.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { command } from "../handlers.ts";
import { announceOperation } from "./announce-operation.ts";

const uuidShape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const consumerShape = /^[\w-]{1,200}$/;

/** A page of events that wait for an earlier version of their aggregate. */
export async function listParkedEvents(db: Database, { pageSize, pageToken }: ListParkedEventsRequest) {
  const size = pageSize || defaultPageSize;
  const scope = ["ListParkedEvents"];
  const [eventId, consumer] = parsePageToken(scope, pageToken, [uuidShape, consumerShape]) ?? [];
  const after = eventId !== undefined && consumer !== undefined ? { eventId, consumer } : undefined;
  const { items, last } = cutPage(await readParkedPage(db, { after, limit: size + 1 }), size);
  return {
    parkedEvents: items.map(toMessage),
    nextPageToken: last ? toPageToken(scope, [last.eventId, last.consumer]) : "",
  };
}

/** Goes on without a version. Applying what waited for it is the consumer's business, within half a second. */
export const skipMissingVersion = (service: string) =>
  command(DeadLetterService.method.skipMissingVersion, {
    async apply(tx, { eventId, consumer, why }, call) {
      const released = await skipMissing(tx, { eventId, consumer });
      if (!released) throw parkedEventNotFound(eventId);
      announceOperation(tx, { service, call, target: eventId, why });
      return { released: released.length };
    },
  });

const toMessage = (parked: ParkedEvent) => ({
  eventId: parked.eventId,
  consumer: parked.consumer,
  eventType: parked.headers["ce-type"] ?? "",
  aggregateId: parked.aggregateId,
  aggregateVersion: parked.aggregateVersion,
  missingVersion: parked.previousVersion,
  parkedAt: timestampFromDate(parked.parkedAt),
});

const parkedEventNotFound = (eventId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PARKED_EVENT_NOT_FOUND, "There is no such parked event here.", {
    metadata: { event_id: eventId },
  });
