// `souk outbox …`

import { toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { OutboxService, RepublishEventsResponseSchema } from "#gen/souk/ops/v1/ops_pb.ts";
import { type DeskCommand, required, WrongUse } from "./command.ts";
import { toEntry } from "./entries.ts";
import { askServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawTable } from "./words.ts";

const columns: Columns<{ service: string; events: bigint }> = {
  Service: ({ service }) => service,
  "Events that go out again": ({ events }) => events,
};

const republish: DeskCommand = {
  name: "outbox republish",
  operands: [],
  flags: {
    since: { type: "string", value: "TIME", help: "2026-11-21T13:00:00Z, or so long ago: 90s, 30m, 2h" },
    ...serviceFlag,
  },
  summary: "Publishes all events since a point in time again; consumers drop those they have applied.",
  prepare(input) {
    const service = readService(input);
    const since = timestampFromDate(readTime(required(input, "since"), Date.now()));
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        desk.ask(OutboxService.method.republishEvents, { service: name, since }),
      );
      const rows = answers.map(({ service: name, answer }) => ({ service: name, events: answer.events }));
      const entries = answers.map(({ service: name, answer }) =>
        toEntry(name, toJson(RepublishEventsResponseSchema, answer, { alwaysEmitImplicit: true })),
      );
      return { text: drawTable(columns, rows, ""), entries, refusals };
    };
  },
};

/** The commands about events on their way out. */
export const outboxCommands: readonly DeskCommand[] = [republish];

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/;

/** Reads a point in time, or a time before now. A time without its zone could mean an hour too few, so it is refused. */
export function readTime(text: string, nowMs: number): Date {
  const [, count, unit = ""] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const time = new Date(count === undefined ? text : nowMs - Number(count) * (UNIT_MS[unit] ?? 0));
  const isTime = count !== undefined || INSTANT.test(text);
  if (!isTime || Number.isNaN(time.getTime()))
    throw new WrongUse(`--since is a time like 2026-11-21T13:00:00Z or 30m, not "${text}"`);
  if (time.getTime() > nowMs) throw new WrongUse(`--since lies ahead: ${text}`);
  return time;
}
