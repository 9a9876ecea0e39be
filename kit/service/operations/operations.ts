/**
 * What operators can see and do by hand, in every service, about its own database: the services of souk.ops.v1. Each file here
 * makes the RPCs of one of them; what is not listed below is not served.
 */
import type { Message } from "@bufbuild/protobuf";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Reconciler } from "#kit/reconciliation/reconciliation.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { SagaEngine } from "#kit/saga/saga.ts";
import type { CommandHandler, Query, ServiceRpcs } from "../handlers.ts";
import { deadLetterRpcs } from "./dead-letters.ts";
import { outboxRpcs } from "./outbox.ts";
import { reconciliationRpcs } from "./reconciliation.ts";
import { sagaRpcs } from "./sagas.ts";

/** What operators' calls work on. */
export interface OperationParts {
  /** The service's name, which each request repeats. */
  readonly service: string;
  readonly db: Database;
  readonly engine: SagaEngine;
  readonly reconciler: Reconciler;
  readonly consumers: readonly Consumer[];
  /** Root of the subjects. */
  readonly eventPrefix: string;
}

/** The operators' RPCs of a service. A request that names another service is refused: it came to the wrong place. */
export const operationRpcs = (parts: OperationParts): ServiceRpcs[] =>
  [deadLetterRpcs(parts), outboxRpcs(parts), reconciliationRpcs(parts), sagaRpcs(parts)].map((rpcs) =>
    onlyFor(parts.service, rpcs),
  );

type Handler = Query<Message, unknown> | CommandHandler<Message, unknown>;

function onlyFor(service: string, { descriptor, handlers }: ServiceRpcs): ServiceRpcs {
  const checked = Object.entries(handlers).map(([name, handler]) => [
    name,
    check(service, handler as Handler),
  ]);
  return { descriptor, handlers: Object.fromEntries(checked) };
}

function check(service: string, handler: Handler): Handler {
  if (handler.kind === "query") {
    const read = (request: Message, call: Call) => {
      checkService(service, request);
      return handler.read(request, call);
    };
    return { kind: "query", read };
  }
  const { command } = handler;
  const prepare = async (request: Message, call: Call, intended: unknown) => {
    checkService(service, request);
    return await command.prepare?.(request, call, intended);
  };
  const apply = (tx: Transaction, request: Message, call: Call, prepared: unknown) =>
    command.apply(tx, request, call, prepared);
  const intend =
    command.intend &&
    (async (tx: Transaction, request: Message, call: Call) => {
      checkService(service, request);
      return await command.intend?.(tx, request, call);
    });
  return { kind: "command", command: { ...(intend && { intend }), prepare, apply } };
}

function checkService(service: string, request: Message) {
  const { service: meant } = request as Message & { readonly service: string };
  if (meant !== service) throw serviceUnknown(meant);
}

const serviceUnknown = (name: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SERVICE_UNKNOWN, "There is no service of this name here.", {
    metadata: { service: name },
  });
