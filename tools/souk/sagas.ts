// `souk saga …`

import { toJson } from "@bufbuild/protobuf";
import {
  type Saga,
  SagaResolution,
  SagaSchema,
  SagaService,
  SagaStatusSchema,
  type SagaStep,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { type DeskCommand, optional, type Report, required, WrongUse } from "./command.ts";
import type { Desk } from "./desk.ts";
import { toEntry } from "./entries.ts";
import { limitFlag, readLimit, readPages, readWord, wordFor, wordsOf } from "./listing.ts";
import { askServices, findAtServices, readService, serviceFlag } from "./services.ts";
import { type Columns, drawFacts, drawTable, drawTime } from "./words.ts";

const methods = SagaService.method;

type Row = { service: string; saga: Saga };

const columns: Columns<Row> = {
  Service: ({ service }) => service,
  Saga: ({ saga }) => saga.sagaId,
  Does: ({ saga }) => saga.definition,
  About: ({ saga }) => saga.subjectId,
  Status: ({ saga }) => statusOf(saga),
  Step: ({ saga }) => saga.step,
  Attempt: ({ saga }) => saga.attempt,
  Reason: ({ saga }) => saga.reason,
  Changed: ({ saga }) => drawTime(saga.updatedAt),
};

const statusOf = ({ status }: Saga) => wordFor(SagaStatusSchema, status);

const list: DeskCommand = {
  name: "saga list",
  operands: [],
  flags: {
    ...serviceFlag,
    status: {
      type: "string",
      value: "WORD",
      help: `${wordsOf(SagaStatusSchema).join(", ")}; all where unset`,
    },
    subject: { type: "string", value: "ID", help: "only those about this order" },
    ...limitFlag,
  },
  summary: "Lists sagas, newest first.",
  prepare(input) {
    const service = readService(input);
    const [status, limit] = [readWord(input, "status", SagaStatusSchema), readLimit(input)];
    const subjectId = optional(input, "subject") ?? "";
    return async (desk) => {
      const { answers, refusals } = await askServices(desk, service, (name) =>
        readPages(limit, async (page) => {
          const request = { service: name, status, subjectId, ...page };
          const { sagas: entries, nextPageToken } = await desk.ask(methods.listSagas, request);
          return { entries, nextPageToken };
        }),
      );
      const rows = answers.flatMap(({ service: name, answer }) =>
        answer.map((saga) => ({ service: name, saga })),
      );
      const text = drawTable(columns, rows, "No such saga.");
      return { text, entries: rows.map(entryOf), refusals };
    };
  },
};

const show: DeskCommand = {
  name: "saga show",
  operands: ["SAGA_ID"],
  flags: serviceFlag,
  summary: "Shows one saga with its steps.",
  prepare(input) {
    const [service, sagaId = ""] = [readService(input), input.operands[0]];
    return async (desk) => report(await find(desk, service, sagaId));
  },
};

const retry: DeskCommand = {
  name: "saga retry",
  operands: ["SAGA_ID"],
  flags: serviceFlag,
  summary: "Wakes a parked saga: it goes on where it stopped.",
  prepare(input) {
    const [service, sagaId = ""] = [readService(input), input.operands[0]];
    return async (desk) => {
      const found = await find(desk, service, sagaId);
      const { saga } = await desk.ask(methods.retrySaga, { service: found.service, sagaId });
      return report({ service: found.service, saga: saga ?? found.saga });
    };
  },
};

const resolutions: Readonly<Record<string, SagaResolution>> = {
  "step-done": SagaResolution.STEP_DONE,
  compensate: SagaResolution.COMPENSATE,
};

const resolve: DeskCommand = {
  name: "saga resolve",
  operands: ["SAGA_ID"],
  flags: {
    as: {
      type: "string",
      value: "WORD",
      help: "step-done: the step's effect is there, go on; compensate: it has none and will have none, undo the rest",
    },
    why: { type: "string", value: "TEXT", help: "your reason, for the record" },
    ...serviceFlag,
  },
  summary: "Settles by hand the step at which a saga is parked.",
  prepare(input) {
    const [service, sagaId = ""] = [readService(input), input.operands[0]];
    const [word, why] = [required(input, "as"), required(input, "why")];
    const resolution = Object.hasOwn(resolutions, word) ? resolutions[word] : undefined;
    if (resolution === undefined) {
      throw new WrongUse(`--as is one of ${Object.keys(resolutions).join(", ")}, not "${word}"`);
    }
    return async (desk) => {
      const found = await find(desk, service, sagaId);
      const request = { service: found.service, sagaId, resolution, step: found.saga.step, why };
      const { saga } = await desk.ask(methods.resolveSaga, request);
      return report({ service: found.service, saga: saga ?? found.saga });
    };
  },
};

/** The commands about sagas. */
export const sagaCommands: readonly DeskCommand[] = [list, show, retry, resolve];

async function find(desk: Desk, service: string | undefined, sagaId: string): Promise<Row> {
  const found = await findAtServices(desk, service, async (name) => {
    const { saga } = await desk.ask(methods.getSaga, { service: name, sagaId });
    if (!saga) throw new Error(`${name} answered without a saga`);
    return saga;
  });
  return { service: found.service, saga: found.answer };
}

const stepColumns: Columns<SagaStep> = {
  Step: ({ name, pivot }) => (pivot ? `${name} (pivot)` : name),
  Done: ({ done }) => (done ? "yes" : ""),
  Result: ({ resultJson }) => resultJson,
};

function report(row: Row): Report {
  const { service, saga } = row;
  const facts = drawFacts({
    saga: saga.sagaId,
    service,
    does: `${saga.definition}, version ${saga.definitionVersion}`,
    about: saga.subjectId,
    status: statusOf(saga),
    step: saga.step === "" ? "" : `${saga.step}, attempt ${saga.attempt}`,
    reason: saga.reason,
    message: saga.message,
    correlation: saga.correlationId,
    "goes on": drawTime(saga.nextWakeupAt),
    started: drawTime(saga.createdAt),
    changed: drawTime(saga.updatedAt),
  });
  const steps = saga.steps.length > 0 ? `\n${drawTable(stepColumns, saga.steps, "")}` : "";
  return { text: facts + steps, entries: [entryOf(row)], refusals: [] };
}

const entryOf = ({ service, saga }: Row) => toEntry(service, toJson(SagaSchema, saga));
