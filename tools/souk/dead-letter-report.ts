// A dead letter, as `souk dlq …` finds and shows it.

import { toJson } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  type DeadLetterAction,
  DeadLetterSchema,
  DeadLetterService,
  DeadLetterStatusSchema,
} from "#gen/souk/ops/v1/ops_pb.ts";
import type { Report } from "./command.ts";
import type { Desk } from "./desk.ts";
import { toEntry } from "./entries.ts";
import { wordFor } from "./listing.ts";
import { findAtServices } from "./services.ts";
import { type Columns, drawFacts, drawJson, drawTable, drawTime } from "./words.ts";

/** A dead letter and the service it lies in. */
export type DeadLetterRow = { service: string; letter: DeadLetter };

/** Where it stands, as a word. */
export const deadLetterStatus = ({ status }: DeadLetter) => wordFor(DeadLetterStatusSchema, status);

/** Finds a dead letter, wherever it lies. */
export async function findDeadLetter(
  desk: Desk,
  service: string | undefined,
  deadLetterId: string,
): Promise<DeadLetterRow> {
  const found = await findAtServices(desk, service, async (name) => {
    const { deadLetter } = await desk.ask(DeadLetterService.method.getDeadLetter, {
      service: name,
      deadLetterId,
    });
    return given(deadLetter);
  });
  return { service: found.service, letter: found.answer };
}

function given(letter: DeadLetter | undefined): DeadLetter {
  if (letter) return letter;
  throw new Error("the shop answered without a dead letter");
}

const historyColumns: Columns<DeadLetterAction> = {
  When: ({ at }) => drawTime(at),
  Who: ({ actor }) => actor,
  What: ({ action }) => action,
  Detail: ({ detail }) => detail,
};

/** All there is to know of a dead letter. */
export function reportDeadLetter(row: DeadLetterRow): Report {
  const { service, letter } = row;
  const facts = drawFacts({
    "dead letter": letter.deadLetterId,
    service,
    status: deadLetterStatus(letter),
    consumer: letter.consumer,
    event: `${letter.eventType} ${letter.eventId}`.trim(),
    about: letter.aggregateId === "" ? "" : `${letter.aggregateId}, version ${letter.aggregateVersion}`,
    reason: letter.reason,
    message: letter.message,
    deliveries: letter.deliveries,
    "set aside": drawTime(letter.createdAt),
  });
  const parts = [
    facts,
    Object.keys(letter.headers).length > 0 ? drawFacts(letter.headers) : "",
    drawJson(letter.eventJson),
    letter.history.length > 0 ? drawTable(historyColumns, letter.history, "") : "",
  ];
  const text = parts.filter((part) => part !== "").join("\n\n");
  return { text, entries: [deadLetterEntry(row)], refusals: [] };
}

/** A dead letter as a script reads it. */
export const deadLetterEntry = ({ service, letter }: DeadLetterRow) =>
  toEntry(service, toJson(DeadLetterSchema, letter));
