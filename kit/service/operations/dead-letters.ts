import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import {
  DeadLetterService,
  type ListDeadLettersRequest,
  DeadLetterStatus as WireStatus,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import {
  type DeadLetter,
  type DeadLetterStatus,
  readDeadLetter,
  readDeadLetterPage,
} from "#kit/inbox/dead-letters.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { query, rpc, type ServiceRpcs } from "../handlers.ts";
import { eventJson } from "./event-json.ts";

const { method } = DeadLetterService;

/** What the operators' dead-letter RPCs work on. */
export interface DeadLetterParts {
  readonly db: Database;
  readonly consumers: readonly Consumer[];
}

/** Lists and shows dead letters. */
export const deadLetterRpcs = ({ db, consumers }: DeadLetterParts): ServiceRpcs =>
  rpc(DeadLetterService, {
    listDeadLetters: query(method.listDeadLetters, (request) => listDeadLetters(db, request)),
    getDeadLetter: query(method.getDeadLetter, async ({ deadLetterId }) => {
      const letter = await readDeadLetter(db, deadLetterId);
      if (!letter) throw deadLetterNotFound(deadLetterId);
      return { deadLetter: toFullMessage(letter, consumers) };
    }),
  });

const letterShape = /^letter_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

async function listDeadLetters(db: Database, { pageSize, pageToken, status }: ListDeadLettersRequest) {
  const size = pageSize || defaultPageSize;
  const wanted = statuses.get(status) ?? "waiting";
  const scope = ["ListDeadLetters", wanted];
  const [beforeId] = parsePageToken(scope, pageToken, [letterShape]) ?? [];
  const rows = await readDeadLetterPage(db, { status: wanted, beforeId, limit: size + 1 });
  const { items, last } = cutPage(rows, size);
  return {
    deadLetters: items.map(toMessage),
    nextPageToken: last ? toPageToken(scope, [last.deadLetterId]) : "",
  };
}

const wireStatuses: Record<DeadLetterStatus, WireStatus> = {
  waiting: WireStatus.WAITING,
  replayed: WireStatus.REPLAYED,
  discarded: WireStatus.DISCARDED,
};

const statuses = new Map(
  Object.entries(wireStatuses).map(([status, wire]) => [wire, status as DeadLetterStatus]),
);

const toMessage = (letter: DeadLetter) => ({
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
function toFullMessage(letter: DeadLetter, consumers: readonly Consumer[]) {
  const event = consumers.find((consumer) => consumer.event.typeName === letter.eventType)?.event;
  return {
    ...toMessage(letter),
    headers: { ...letter.headers },
    eventJson: event ? eventJson(event, letter.payload) : "",
    history: letter.history.map(({ at, ...rest }) => ({ ...rest, at: timestampFromDate(new Date(at)) })),
  };
}

const deadLetterNotFound = (deadLetterId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.DEAD_LETTER_NOT_FOUND, "There is no such dead letter here.", {
    metadata: { dead_letter_id: deadLetterId },
  });
