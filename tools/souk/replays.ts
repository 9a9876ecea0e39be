// `souk dlq replay`, `replay-all` and `discard`.

import { toJson } from "@bufbuild/protobuf";
import {
  DeadLetterSchema,
  DeadLetterService,
  ReplayDeadLettersResponseSchema,
  ReplayOutcomeSchema,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { type DeskCommand, optional, required } from "./command.ts";
import { findDeadLetter, reportDeadLetter } from "./dead-letter-report.ts";
import { toEntry } from "./entries.ts";
import { wordFor } from "./listing.ts";
import { askServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawTable } from "./words.ts";

const methods = DeadLetterService.method;

const replay: DeskCommand = {
  name: "dlq replay",
  operands: ["DEAD_LETTER_ID"],
  flags: serviceFlag,
  summary: "Offers a dead letter's event to its handler again.",
  prepare(input) {
    const [service, deadLetterId = ""] = [readService(input), input.operands[0]];
    return async (desk) => {
      const found = await findDeadLetter(desk, service, deadLetterId);
      const request = { service: found.service, deadLetterId };
      const { deadLetter = found.letter, outcome } = await desk.ask(methods.replayDeadLetter, request);
      const word = wordFor(ReplayOutcomeSchema, outcome);
      const report = reportDeadLetter({ service: found.service, letter: deadLetter });
      const letter = toJson(DeadLetterSchema, deadLetter) as object;
      return {
        ...report,
        text: `outcome  ${word}\n\n${report.text}`,
        entries: [toEntry(found.service, { ...letter, outcome: word })],
      };
    };
  },
};

type Count = { service: string; replayed: number; failed: number; remaining: number };

const countColumns: Columns<Count> = {
  Service: ({ service }) => service,
  Replayed: ({ replayed }) => replayed,
  "Failed again": ({ failed }) => failed,
  "Not reached": ({ remaining }) => remaining,
};

const replayAll: DeskCommand = {
  name: "dlq replay-all",
  operands: [],
  flags: {
    consumer: { type: "string", value: "NAME", help: "only those of this consumer" },
    event: { type: "string", value: "TYPE", help: "only those of this type: souk.orders.v1.OrderConfirmed" },
    ...serviceFlag,
  },
  summary: "Replays all waiting dead letters, oldest first.",
  prepare(input) {
    const service = readService(input);
    const [consumer, eventType] = [optional(input, "consumer") ?? "", optional(input, "event") ?? ""];
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        desk.ask(methods.replayDeadLetters, { service: name, consumer, eventType }),
      );
      const rows = answers.map(({ service: name, answer }) => ({ ...answer, service: name }));
      const entries = answers.map(({ service: name, answer }) =>
        toEntry(name, toJson(ReplayDeadLettersResponseSchema, answer, { alwaysEmitImplicit: true })),
      );
      return { text: drawTable(countColumns, rows, ""), entries, refusals };
    };
  },
};

const discard: DeskCommand = {
  name: "dlq discard",
  operands: ["DEAD_LETTER_ID"],
  flags: { why: { type: "string", value: "TEXT", help: "your reason, for the record" }, ...serviceFlag },
  summary: "Gives a dead letter up; its aggregate goes on without it.",
  prepare(input) {
    const [service, deadLetterId = "", why] = [readService(input), input.operands[0], required(input, "why")];
    return async (desk) => {
      const found = await findDeadLetter(desk, service, deadLetterId);
      const request = { service: found.service, deadLetterId, why };
      const { deadLetter = found.letter } = await desk.ask(methods.discardDeadLetter, request);
      return reportDeadLetter({ service: found.service, letter: deadLetter });
    };
  },
};

/** The commands that settle dead letters. */
export const replayCommands: readonly DeskCommand[] = [replay, replayAll, discard];
