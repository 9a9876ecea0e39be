/**
 * Handlers as data: what may call out and what is local stand apart, and the kit opens the transactions
 * (docs/decisions/0006-handler-signature.md).
 */
import { createHash } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  getOption,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { policy as policyOption } from "#gen/souk/options/v1/options_pb.ts";
import type { ServiceError } from "#kit/errors/errors.ts";
import { reach } from "#kit/failpoints/failpoints.ts";
import {
  type Answer,
  type Outcome,
  type RememberedCommand,
  recall,
  runRemembered,
} from "#kit/idempotency/idempotency.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { RpcService, StreamHandler, UnaryHandler } from "#kit/rpc/rpc.ts";

/** A method that changes nothing. */
export interface Query<Request, Reply> {
  readonly kind: "query";
  readonly read: (request: Request, call: Call) => Promise<Reply> | Reply;
}

/** A method that changes something. */
export interface Command<Request, Reply, Prepared = never> {
  /** Local: records what is about to be attempted. Committed before `prepare` starts. */
  intend?(tx: Transaction, request: Request, call: Call): Promise<void>;
  /** May call out; no transaction is open. */
  prepare?(request: Request, call: Call): Promise<Prepared>;
  /** Local: decides, writes, announces, and returns the answer, or a refusal whose effects are to be kept. */
  apply(tx: Transaction, request: Request, call: Call, prepared: Prepared): Promise<Reply | Refusal>;
}

/** A method that answers with a stream. */
export interface Stream<Request, Reply> {
  readonly kind: "stream";
  readonly open: (request: Request, call: Call) => AsyncIterable<Reply>;
}

/** An error that is answered, and remembered, although what the handler wrote is committed. */
export class Refusal {
  readonly error: ServiceError;

  constructor(error: ServiceError) {
    this.error = error;
  }
}

interface BoundCommand<Request, Reply> {
  readonly kind: "command";
  readonly command: Command<Request, Reply, unknown>;
}

type HandlerFor<M extends DescMethod> = M["methodKind"] extends "server_streaming"
  ? Stream<Request<M>, Reply<M>>
  : Query<Request<M>, Reply<M>> | BoundCommand<Request<M>, Reply<M>>;

type Request<M extends DescMethod> = MessageShape<M["input"]>;
type Reply<M extends DescMethod> = MessageInitShape<M["output"]>;

/** One handler for each method of a service's contract. */
export type HandlersFor<S extends DescService> = {
  readonly [Name in keyof S["method"]]: HandlerFor<S["method"][Name]>;
};

/** Declares a method that changes nothing. The method gives the types of request and answer. */
export const query = <M extends DescMethod>(
  _method: M,
  read: Query<Request<M>, Reply<M>>["read"],
): Query<Request<M>, Reply<M>> => ({ kind: "query", read });

/** Declares a method that changes something. */
export const command = <M extends DescMethod, Prepared = undefined>(
  _method: M,
  spec: Command<Request<M>, Reply<M>, Prepared>,
): BoundCommand<Request<M>, Reply<M>> => ({
  kind: "command",
  command: spec as Command<Request<M>, Reply<M>, unknown>,
});

/** Declares a method that answers with a stream. */
export const stream = <M extends DescMethod>(
  _method: M,
  open: Stream<Request<M>, Reply<M>>["open"],
): Stream<Request<M>, Reply<M>> => ({ kind: "stream", open });

/** Refuses a command and keeps what `apply` wrote: a declined card is recorded and announced. */
export const refusal = (error: ServiceError): Refusal => new Refusal(error);

/** A contract with its handlers, before they are bound to a database. */
export interface ServiceRpcs {
  readonly descriptor: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Joins a contract and its handlers; a missing handler does not compile. */
export const rpc = <S extends DescService>(descriptor: S, handlers: HandlersFor<S>): ServiceRpcs => ({
  descriptor,
  handlers: handlers as Readonly<Record<string, unknown>>,
});

type AnyHandler = Query<never, never> | BoundCommand<never, never> | Stream<never, never>;

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

type AnyMessage = MessageShape<DescMessage>;
type AnyCommand = Command<AnyMessage, MessageInitShape<DescMessage>, unknown>;

function bindCommand(method: DescMethod, spec: AnyCommand, db: Database): UnaryHandler {
  const remembered = getOption(method, policyOption).idempotencyKeyRequired;
  const run = remembered ? runUnderKey : runOnce;
  return (request: never, call: Call) => run(method, spec, db, request, call);
}

async function runOnce(_method: DescMethod, spec: AnyCommand, db: Database, request: AnyMessage, call: Call) {
  const { intend } = spec;
  if (intend) await db.transaction((tx) => intend(tx, request, call));
  const prepared = await spec.prepare?.(request, call);
  const decided = await db.transaction((tx) => spec.apply(tx, request, call, prepared));
  if (decided instanceof Refusal) throw decided.error;
  return decided as never;
}

async function runUnderKey(
  method: DescMethod,
  spec: AnyCommand,
  db: Database,
  request: AnyMessage,
  call: Call,
) {
  const remembered = toRemembered(method, request, call);
  const earlier = await intendUnlessAnswered(spec, db, remembered, request, call);
  const answer =
    earlier ??
    (await runRemembered(db, remembered, {
      prepare: async () => await spec.prepare?.(request, call),
      apply: async (tx, prepared) => toOutcome(method, await spec.apply(tx, request, call, prepared)),
    }));
  await reach(`rpc:${method.name}:committed`);
  if (answer.replayed) call.setResponseMetadata("idempotent-replayed", "true");
  return fromBinary(method.output, answer.response);
}

/**
 * The lookup and the intent share a transaction and a round trip: `prepare` must not run again for a command that has
 * its answer. Where it has one, the intent is rolled back.
 */
async function intendUnlessAnswered(
  { intend }: AnyCommand,
  db: Database,
  remembered: RememberedCommand,
  request: AnyMessage,
  call: Call,
): Promise<Answer | undefined> {
  if (!intend) return undefined;
  let answer: Answer | undefined;
  const work = async (tx: Transaction) => {
    const [recalled, intended] = await Promise.allSettled([
      recall(tx, remembered),
      intend(tx, request, call),
    ]);
    if (recalled.status === "rejected") throw recalled.reason;
    answer = recalled.value;
    if (answer) throw new AlreadyAnswered();
    if (intended.status === "rejected") throw intended.reason;
  };
  await db.transaction(work).catch((error: unknown) => {
    if (!(error instanceof AlreadyAnswered)) throw error;
  });
  return answer;
}

/** Rolls an intent back; never leaves this file. */
class AlreadyAnswered extends Error {}

function toOutcome(method: DescMethod, decided: MessageInitShape<DescMessage> | Refusal): Outcome {
  if (decided instanceof Refusal) return { refusal: decided.error };
  return { response: toBinary(method.output, create(method.output, decided)) };
}

function toRemembered(method: DescMethod, request: AnyMessage, call: Call): RememberedCommand {
  return {
    principal: call.principal?.subject ?? "",
    method,
    key: call.idempotencyKey ?? "",
    fingerprint: createHash("sha256").update(toBinary(method.input, request)).digest(),
    deadline: call.deadline,
  };
}
