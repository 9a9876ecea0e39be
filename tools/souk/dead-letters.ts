// `souk dlq …`

import { DeadLetterService, DeadLetterStatusSchema } from "#gen/souk/ops/v1/ops_pb.ts";
import type { DeskCommand } from "./command.ts";
import {
  type DeadLetterRow,
  deadLetterEntry,
  deadLetterStatus,
  findDeadLetter,
  reportDeadLetter,
} from "./dead-letter-report.ts";
import { limitFlag, readLimit, readPages, readWord, wordsOf } from "./listing.ts";
import { parkedEventCommands } from "./parked-events.ts";
import { replayCommands } from "./replays.ts";
import { askServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawTable, drawTime } from "./words.ts";

const methods = DeadLetterService.method;

const columns: Columns<DeadLetterRow> = {
  Service: ({ service }) => service,
  "Dead letter": ({ letter }) => letter.deadLetterId,
  Consumer: ({ letter }) => letter.consumer,
  Event: ({ letter }) => letter.eventType,
  About: ({ letter }) => letter.aggregateId,
  Status: ({ letter }) => deadLetterStatus(letter),
  Reason: ({ letter }) => letter.reason,
  Deliveries: ({ letter }) => letter.deliveries,
  "Set aside": ({ letter }) => drawTime(letter.createdAt),
};

const list: DeskCommand = {
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
      return {
        text: drawTable(columns, rows, "No such dead letter."),
        entries: rows.map(deadLetterEntry),
        refusals,
      };
    };
  },
};

const show: DeskCommand = {
  name: "dlq show",
  operands: ["DEAD_LETTER_ID"],
  flags: serviceFlag,
  summary: "Shows one dead letter with its event and history.",
  prepare(input) {
    const [service, deadLetterId = ""] = [readService(input), input.operands[0]];
    return async (desk) => reportDeadLetter(await findDeadLetter(desk, service, deadLetterId));
  },
};

/** The commands about dead letters. */
export const deadLetterCommands: readonly DeskCommand[] = [
  list,
  show,
  ...replayCommands,
  ...parkedEventCommands,
];
