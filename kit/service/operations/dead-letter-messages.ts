import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { DeadLetterStatus as WireStatus } from "#gen/souk/ops/v1/ops_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { DeadLetter, DeadLetterStatus } from "#kit/inbox/dead-letters.ts";
import type { ConsumerGroup } from "#kit/inbox/group.ts";
import { eventJson } from "./event-json.ts";

const wireStatuses: Record<DeadLetterStatus, WireStatus> = {
  waiting: WireStatus.WAITING,
  replayed: WireStatus.REPLAYED,
  discarded: WireStatus.DISCARDED,
};

const statuses = new Map(
  Object.entries(wireStatuses).map(([status, wire]) => [wire, status as DeadLetterStatus]),
);

/** The status a caller asks for; waiting where it names none. */
export const fromWireStatus = (status: WireStatus): DeadLetterStatus => statuses.get(status) ?? "waiting";

/** A dead letter as lists show it. */
export const toMessage = (letter: DeadLetter) => ({
  deadLetterId: letter.deadLetterId,
  consumer: letter.consumer,
  eventId: letter.eventId,
  eventType: letter.eventType,
  aggregateId: letter.aggregateId,
  aggregateVersion: letter.aggregateVersion,
  status: wireStatuses[letter.status],
  reason: letter.reason,
  message: letter.message,
  deliveries: letter.deliveries,
  createdAt: timestampFromDate(letter.createdAt),
});

/** A dead letter with what it carried and what was done with it. */
export function toFullMessage(letter: DeadLetter, groups: readonly ConsumerGroup[]) {
  const [found] = groups.flatMap(({ byType }) => byType.get(letter.eventType) ?? []);
  return {
    ...toMessage(letter),
    headers: { ...letter.headers },
    eventJson: found ? eventJson(found.consumer.event, letter.payload) : "",
    history: letter.history.map(({ at, ...rest }) => ({ ...rest, at: timestampFromDate(new Date(at)) })),
  };
}

/** There is no such dead letter in this service. */
export const deadLetterNotFound = (deadLetterId: string): ServiceError =>
  serviceError(ErrorReasonSchema, ErrorReason.DEAD_LETTER_NOT_FOUND, "There is no such dead letter here.", {
    metadata: { dead_letter_id: deadLetterId },
  });

/** The dead letter was replayed or discarded. */
export const deadLetterSettled = ({ deadLetterId, status }: DeadLetter): ServiceError =>
  serviceError(ErrorReasonSchema, ErrorReason.DEAD_LETTER_SETTLED, `The dead letter was ${status} already.`, {
    metadata: { dead_letter_id: deadLetterId, status },
  });
