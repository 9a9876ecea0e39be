// `souk dlq …`

import { toJson } from "@bufbuild/protobuf";
import {
  type DeadLetter,
  type DeadLetterAction,
  DeadLetterSchema,
  DeadLetterService,
  DeadLetterStatusSchema,
} from "#gen/souk/ops/v1/ops_pb.ts";
import type { Command, Report } from "./command.ts";
import type { Desk } from "./desk.ts";
import { toEntry } from "./entries.ts";
import { limitFlag, readLimit, readPages, readWord, wordFor, wordsOf } from "./listing.ts";
import { askServices, findAtServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawFacts, drawJson, drawTable, drawTime } from "./words.ts";

const methods = DeadLetterService.method;

type Row = { service: string; letter: DeadLetter };

const columns: Columns<Row> = {
  Service: ({ service }) => service,
  "Dead letter": ({ letter }) => letter.deadLetterId,
  Consumer: ({ letter }) => letter.consumer,
  Event: ({ letter }) => letter.eventType,
  About: ({ letter }) => letter.aggregateId,
  Status: ({ letter }) => statusOf(letter),
  Reason: ({ letter }) => letter.reason,
  Deliveries: ({ letter }) => letter.deliveries,
  "Set aside": ({ letter }) => drawTime(letter.createdAt),
};

const statusOf = ({ status }: DeadLetter) => wordFor(DeadLetterStatusSchema, status);

const list: Command = {
  name: "dlq list",
  operands: [],
  flags: {
    ...serviceFlag,
    status: {
      type: "string",
      value: "WORD",
      help: `${wordsOf(DeadLetterStatusSchema).join(", ")}; waiting where unset`,
    },
    ...limitFlag,
  },
  summary: "Lists dead letters, newest first.",
  prepare(input) {
    const service = readService(input);
    const [status, limit] = [readWord(input, "status", DeadLetterStatusSchema), readLimit(input)];
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        readPages(limit, async (page) => {
          const request = { service: name, status, ...page };
          const { deadLetters: entries, nextPageToken } = await desk.ask(methods.listDeadLetters, request);
          return { entries, nextPageToken };
        }),
      );
      const rows = answers.flatMap(({ service: name, answer }) =>
        answer.map((letter) => ({ service: name, letter })),
      );
      return { text: drawTable(columns, rows, "No such dead letter."), entries: rows.map(entryOf), refusals };
    };
  },
};

const show: Command = {
  name: "dlq show",
  operands: ["DEAD_LETTER_ID"],
  flags: serviceFlag,
  summary: "Shows one dead letter with its event and history.",
  prepare(input) {
    const [service, deadLetterId = ""] = [readService(input), input.operands[0]];
    return async (desk) => report(await find(desk, service, deadLetterId));
  },
};

/** The commands about dead letters. */
export const deadLetterCommands: readonly Command[] = [list, show];

async function find(desk: Desk, service: string | undefined, deadLetterId: string): Promise<Row> {
  const found = await findAtServices(desk, service, async (name) => {
    const { deadLetter } = await desk.ask(methods.getDeadLetter, { service: name, deadLetterId });
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

function report(row: Row): Report {
  const { service, letter } = row;
  const facts = drawFacts({
    "dead letter": letter.deadLetterId,
    service,
    status: statusOf(letter),
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
  return { text, entries: [entryOf(row)], refusals: [] };
}

const entryOf = ({ service, letter }: Row) => toEntry(service, toJson(DeadLetterSchema, letter));
