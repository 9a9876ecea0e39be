import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { type ServiceError, serviceError } from "#kit/errors/errors.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { applyOne, type Outcome } from "./apply.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { claimOf, type Delivery, EventUnreadable, toDelivery } from "./delivery.ts";
import type { ConsumerGroup } from "./group.ts";
import { passVersion } from "./statements.ts";

export type { Outcome } from "./apply.ts";

/**
 * Offers a dead letter's event to its handler again, by the same way as the stream's: what was applied stays applied once, and
 * order is kept. `settle` runs in the transaction of the effect.
 * @throws the handler's error; ServiceError EVENT_UNREADABLE where no handler can be reached.
 */
export async function replay(
  { db, groups }: { readonly db: Database; readonly groups: readonly ConsumerGroup[] },
  letter: DeadLetter,
  settle: (tx: Transaction, outcome: Outcome) => Promise<unknown>,
): Promise<Outcome> {
  const delivery = read(letter, groups);
  const afterwards = (tx: Transaction, [outcome]: readonly Outcome[]) => settle(tx, outcome ?? "repeated");
  return await applyOne({ db, durable: letter.consumer, afterwards }, delivery);
}

function read(letter: DeadLetter, groups: readonly ConsumerGroup[]): Delivery {
  const group = groups.find(({ durable }) => durable === letter.consumer);
  try {
    const delivery = group && toDelivery({ ...letter, deliveries: letter.deliveries + 1 }, group);
    if (delivery) return delivery;
  } catch (error) {
    if (error instanceof EventUnreadable) throw unreadable(error.message);
    throw error;
  }
  throw unreadable("Nothing here reacts to this event any more.");
}

/** Lets a discarded event's aggregate go on without it, where the event was next. */
export async function passOver(tx: Transaction, { consumer, headers }: DeadLetter): Promise<void> {
  const claim = claimOf(headers);
  if (claim?.previousVersion === undefined) return;
  const { aggregateId, aggregateVersion, previousVersion } = claim;
  await tx.query(passVersion, [consumer, aggregateId, aggregateVersion, previousVersion]);
}

const unreadable = (message: string): ServiceError =>
  serviceError(ErrorReasonSchema, ErrorReason.EVENT_UNREADABLE, message);
