import { OperatorActedSchema } from "#gen/souk/ops/v1/events_pb.ts";
import { newId } from "#kit/ids/ids.ts";
import { announce } from "#kit/outbox/outbox.ts";
import type { Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";

/** What an operator did. */
export interface Operation {
  /** The service in which it happened. */
  readonly service: string;
  /** The operator's call: its method is the action, its caller the operator. */
  readonly call: Call;
  /** What it was done to: an id, or a point in time. */
  readonly target: string;
  /** In the operator's words; empty where none were asked for. */
  readonly why?: string;
}

/** Announces an operator's action in the transaction of its effect. */
export function announceOperation(tx: Transaction, { service, call, target, why = "" }: Operation): void {
  const { method, principal, correlationId, traceparent } = call;
  const operation = {
    operationId: newId("operation"),
    service,
    operator: principal?.subject ?? "",
    action: method.name,
    target,
    why,
  };
  announce(tx, OperatorActedSchema, operation, { aggregateVersion: 1, correlationId, traceparent });
}
