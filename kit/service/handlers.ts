/**
 * Handlers as data: what may call out and what is local stand apart, and the kit opens the transactions
 * (docs/decisions/0006-handler-signature.md).
 */
import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ServiceError } from "#kit/errors/errors.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";

/** A method that changes nothing. */
export interface Query<Request, Reply> {
  readonly kind: "query";
  readonly read: (request: Request, call: Call) => Promise<Reply> | Reply;
}

/** A method that changes something. */
export interface Command<Request, Reply, Prepared, Intended> {
  /**
   * `intend` and `apply` may share a transaction with other commands, which is much cheaper under load. Only where each
   * statement decides and changes in one go: what one reads, another may change before the first writes, locks or not; and
   * only where `intend` may be kept for a command that has its answer already.
   */
  readonly groupCommit?: true;
  /** Local: records what is about to be attempted, and says so. Committed before `prepare` starts. */
  intend?(tx: Transaction, request: Request, call: Call): Promise<Intended>;
  /** May call out; no transaction is open. */
  prepare?(request: Request, call: Call, intended: Intended): Promise<Prepared>;
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

/** A command with the types of what its halves hand on put aside. */
export interface CommandHandler<Request, Reply> {
  readonly kind: "command";
  readonly command: Command<Request, Reply, unknown, unknown>;
}

type HandlerFor<M extends DescMethod> = M["methodKind"] extends "server_streaming"
  ? Stream<Request<M>, Reply<M>>
  : Query<Request<M>, Reply<M>> | CommandHandler<Request<M>, Reply<M>>;

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
export const command = <M extends DescMethod, Prepared = undefined, Intended = undefined>(
  _method: M,
  spec: Command<Request<M>, Reply<M>, Prepared, Intended>,
): CommandHandler<Request<M>, Reply<M>> => ({
  kind: "command",
  command: spec as Command<Request<M>, Reply<M>, unknown, unknown>,
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
