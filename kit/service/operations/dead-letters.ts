import { DeadLetterService, type ListDeadLettersRequest } from "#gen/souk/ops/v1/ops_pb.ts";
import { readDeadLetter, readDeadLetterPage } from "#kit/inbox/dead-letters.ts";
import { groupByStream } from "#kit/inbox/group.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import { cutPage, defaultPageSize, parsePageToken, toPageToken } from "#kit/paging/paging.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { query, rpc, type ServiceRpcs } from "../handlers.ts";
import { deadLetterNotFound, fromWireStatus, toFullMessage, toMessage } from "./dead-letter-messages.ts";
import { listParkedEvents, skipMissingVersion } from "./parked-events.ts";
import { discardDeadLetter, replayDeadLetter, replayDeadLetters } from "./replays.ts";

const { method } = DeadLetterService;

/** What the operators' dead-letter RPCs work on. */
export interface DeadLetterParts {
  readonly service: string;
  readonly db: Database;
  readonly consumers: readonly Consumer[];
  /** Root of the subjects. */
  readonly eventPrefix: string;
}

/** Events that could not be applied, and events that wait for others: what there is, and what operators decide. */
export function deadLetterRpcs({ service, db, consumers, eventPrefix }: DeadLetterParts): ServiceRpcs {
  const groups = groupByStream({ service, consumers, prefix: eventPrefix });
  const parts = { service, db, groups };
  return rpc(DeadLetterService, {
    listDeadLetters: query(method.listDeadLetters, (request) => listDeadLetters(db, request)),
    getDeadLetter: query(method.getDeadLetter, async ({ deadLetterId }) => {
      const letter = await readDeadLetter(db, deadLetterId);
      if (!letter) throw deadLetterNotFound(deadLetterId);
      return { deadLetter: toFullMessage(letter, groups) };
    }),
    replayDeadLetter: replayDeadLetter(parts),
    replayDeadLetters: replayDeadLetters(parts),
    discardDeadLetter: discardDeadLetter(parts),
    listParkedEvents: query(method.listParkedEvents, (request) => listParkedEvents(db, request)),
    skipMissingVersion: skipMissingVersion(service),
  });
}

const letterShape = /^letter_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

async function listDeadLetters(db: Database, { pageSize, pageToken, status }: ListDeadLettersRequest) {
  const size = pageSize || defaultPageSize;
  const wanted = fromWireStatus(status);
  const scope = ["ListDeadLetters", wanted];
  const [beforeId] = parsePageToken(scope, pageToken, [letterShape]) ?? [];
  const rows = await readDeadLetterPage(db, { status: wanted, beforeId, limit: size + 1 });
  const { items, last } = cutPage(rows, size);
  return {
    deadLetters: items.map(toMessage),
    nextPageToken: last ? toPageToken(scope, [last.deadLetterId]) : "",
  };
}
