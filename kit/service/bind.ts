import { hash } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethod,
  getOption,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { policy as policyOption } from "#gen/souk/options/v1/options_pb.ts";
import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { type Outcome, type RememberedCommand, runRemembered } from "#kit/idempotency/idempotency.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { RpcService, StreamHandler, UnaryHandler } from "#kit/rpc/rpc.ts";
import {
  type Command,
  type CommandHandler,
  type Query,
  Refusal,
  type ServiceRpcs,
  type Stream,
} from "./handlers.ts";

type AnyHandler = Query<never, never> | CommandHandler<never, never> | Stream<never, never>;
type AnyMessage = MessageShape<DescMessage>;
type AnyCommand = Command<AnyMessage, MessageInitShape<DescMessage>, unknown, unknown>;

/** A command as it is called. */
interface Run {
  readonly method: DescMethod;
  readonly spec: AnyCommand;
  readonly db: Database;
  readonly request: AnyMessage;
  readonly call: Call;
}

/** Binds handlers to the database whose transactions they run in. */
export function bindHandlers({ descriptor, handlers }: ServiceRpcs, db: Database): RpcService {
  const bound = descriptor.methods.map((method) => {
    const handler = handlers[method.localName] as AnyHandler;
    return [method.localName, bindHandler(method, handler, db)] as const;
  });
  return { descriptor, handlers: Object.fromEntries(bound) };
}

function bindHandler(method: DescMethod, handler: AnyHandler, db: Database): UnaryHandler | StreamHandler {
  switch (handler.kind) {
    case "query":
      return handler.read as UnaryHandler;
    case "stream":
      return handler.open as unknown as StreamHandler;
    case "command":
      return bindCommand(method, handler.command as unknown as AnyCommand, db);
  }
}

function bindCommand(method: DescMethod, spec: AnyCommand, db: Database): UnaryHandler {
  const run = needsKey(method) ? runUnderKey : runOnce;
  return (request: never, call: Call) => run({ method, spec, db, request, call });
}

const keyed = new WeakMap<DescMethod, boolean>();

/** Read once per method: a simulation binds the same ones again and again. */
function needsKey(method: DescMethod): boolean {
  const needs = keyed.get(method) ?? getOption(method, policyOption).idempotencyKeyRequired;
  keyed.set(method, needs);
  return needs;
}

async function runOnce({ method, spec, db, request, call }: Run) {
  const { intend } = spec;
  const intended = intend && (await db.transaction((tx) => intend(tx, request, call)));
  const prepared = await spec.prepare?.(request, call, intended);
  const decided = await db.transaction((tx) => spec.apply(tx, request, call, prepared));
  if (armed) await reach(`rpc:${method.name}:committed`);
  if (decided instanceof Refusal) throw decided.error;
  return decided as never;
}

async function runUnderKey(run: Run) {
  const { method, spec, db, request, call } = run;
  const { intend, groupCommit = false } = spec;
  const answer = await runRemembered<unknown, unknown>(db, toRemembered(run), {
    groupCommit,
    intend: intend && ((tx) => intend(tx, request, call)),
    prepare: (intended) => prepare(run, intended),
    apply: (tx, prepared) => apply(run, tx, prepared),
  });
  if (armed) await reach(`rpc:${method.name}:committed`);
  if (answer.replayed) call.setResponseMetadata("idempotent-replayed", "true");
  return answer.response;
}

async function prepare({ method, spec, request, call }: Run, intended: unknown): Promise<unknown> {
  if (armed) await reach(`rpc:${method.name}:intended`);
  const prepared = await spec.prepare?.(request, call, intended);
  if (armed) await reach(`rpc:${method.name}:prepared`);
  return prepared;
}

async function apply({ method, spec, request, call }: Run, tx: Transaction, prepared: unknown) {
  const decided = await spec.apply(tx, request, call, prepared);
  if (armed) await reach(`rpc:${method.name}:decided`);
  return toOutcome(method, decided);
}

function toOutcome(method: DescMethod, decided: MessageInitShape<DescMessage> | Refusal): Outcome {
  if (decided instanceof Refusal) return { refusal: decided.error };
  return { response: toBinary(method.output, create(method.output, decided)) };
}

function toRemembered({ method, request, call }: Run): RememberedCommand {
  return {
    principal: call.principal?.subject ?? "",
    method,
    key: call.idempotencyKey ?? "",
    fingerprint: hash("sha256", toBinary(method.input, request), "buffer"),
    deadline: call.deadline,
  };
}
