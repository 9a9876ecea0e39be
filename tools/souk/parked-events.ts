// `souk dlq parked` and `skip`.

import { toJson } from "@bufbuild/protobuf";
import {
  DeadLetterService,
  type ParkedEvent,
  ParkedEventSchema,
  SkipMissingVersionResponseSchema,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { type DeskCommand, required } from "./command.ts";
import { toEntry } from "./entries.ts";
import { limitFlag, readLimit, readPages } from "./listing.ts";
import { askServices, findAtServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawTable, drawTime } from "./words.ts";

const methods = DeadLetterService.method;

type Row = { service: string; parked: ParkedEvent };

const columns: Columns<Row> = {
  Service: ({ service }) => service,
  Event: ({ parked }) => parked.eventId,
  Consumer: ({ parked }) => parked.consumer,
  Type: ({ parked }) => parked.eventType,
  About: ({ parked }) => parked.aggregateId,
  Version: ({ parked }) => parked.aggregateVersion,
  "Waits for": ({ parked }) => parked.missingVersion,
  Since: ({ parked }) => drawTime(parked.parkedAt),
};

const list: DeskCommand = {
  name: "dlq parked",
  operands: [],
  flags: { ...serviceFlag, ...limitFlag },
  summary: "Lists events that wait for an earlier version of their aggregate.",
  prepare(input) {
    const [service, limit] = [readService(input), readLimit(input)];
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        readPages(limit, async (page) => {
          const request = { service: name, ...page };
          const { parkedEvents: entries, nextPageToken } = await desk.ask(methods.listParkedEvents, request);
          return { entries, nextPageToken };
        }),
      );
      const rows = answers.flatMap(({ service: name, answer }) =>
        answer.map((parked) => ({ service: name, parked })),
      );
      const entries = rows.map(({ service: name, parked }) =>
        toEntry(name, toJson(ParkedEventSchema, parked)),
      );
      return { text: drawTable(columns, rows, "No event waits for another."), entries, refusals };
    };
  },
};

const skip: DeskCommand = {
  name: "dlq skip",
  operands: ["EVENT_ID"],
  flags: {
    consumer: { type: "string", value: "NAME", help: "at which it waits" },
    why: { type: "string", value: "TEXT", help: "your reason, for the record" },
    ...serviceFlag,
  },
  summary: "Goes on without the version that a parked event waits for.",
  prepare(input) {
    const [service, eventId = ""] = [readService(input), input.operands[0]];
    const [consumer, why] = [required(input, "consumer"), required(input, "why")];
    return async (desk) => {
      const { service: name, answer } = await findAtServices(desk, service, (one) =>
        desk.ask(methods.skipMissingVersion, { service: one, eventId, consumer, why }),
      );
      const entry = toJson(SkipMissingVersionResponseSchema, answer, { alwaysEmitImplicit: true });
      const text = `${name}: events that wait no more: ${answer.released}`;
      return { text, entries: [toEntry(name, entry)], refusals: [] };
    };
  },
};

/** The commands about events that came too early. */
export const parkedEventCommands: readonly DeskCommand[] = [list, skip];
