import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { applyOne, type Outcome } from "./apply.ts";
import { setAside } from "./dead-letters.ts";
import { type Delivery, toDelivery } from "./delivery.ts";
import type { ConsumerGroup } from "./group.ts";
import { givesUp, type InboxLimits, retryDelayMs } from "./limits.ts";
import type { ParkedEvent } from "./park.ts";
import { deleteParked, lockParked, postponeParked, selectReleasable } from "./parked-statements.ts";
import { knowAggregate } from "./statements.ts";

/** What releasing needs. */
export interface ReleaseOptions {
  readonly service: string;
  readonly db: Database;
  readonly log: Logger;
}

const everyMs = 500;
const releasedAtOnce = 100;

/** Applies parked events when what they wait for has come, until the signal aborts. Never rejects. */
export async function runReleases(
  options: ReleaseOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      while ((await releaseSome(options, group, limits, signal)) > 0);
    } catch (error) {
      options.log.debug({ err: error, consumer: group.durable }, "parked events could not be looked at");
    }
    await delay(everyMs, signal).catch(() => {});
  }
}

/** One round; an event that is applied may let the next one go. */
async function releaseSome(
  options: ReleaseOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  signal: AbortSignal,
): Promise<number> {
  const rows = await options.db.query<ParkedEvent>(selectReleasable, [
    group.durable,
    limits.adoptAfterMs,
    releasedAtOnce,
  ]);
  let released = 0;
  for (const parked of rows) {
    if (signal.aborted) return 0;
    if (await release(options, group, limits, parked)) released += 1;
  }
  return released;
}

/** Applies one, or notes that its handler failed. False where another replica was first, or it has to wait on. */
async function release(
  options: ReleaseOptions,
  group: ConsumerGroup,
  limits: InboxLimits,
  parked: ParkedEvent,
): Promise<boolean> {
  const offered = { ...parked, deliveries: parked.attempts + 1 };
  try {
    const delivery = toDelivery(offered, group);
    return await applyParked(options.db, group.durable, parked, delivery);
  } catch (error) {
    options.log.warn(
      { err: error, consumer: group.durable, eventId: parked.eventId },
      "a parked event failed",
    );
    const { durable } = group;
    const key = [durable, parked.eventId];
    // It was this event's turn, also where its aggregate had to be taken as it came.
    await options.db.query(knowAggregate, [durable, parked.aggregateId, parked.previousVersion]);
    if (!givesUp(limits, offered.deliveries, error)) {
      await options.db.query(postponeParked, [...key, retryDelayMs(limits, offered.deliveries)]);
      return false;
    }
    await options.db.transaction(async (tx) => {
      await setAside(tx, { service: options.service, durable, offered, error });
      await tx.query(deleteParked, key);
    });
    return true;
  }
}

async function applyParked(
  db: Database,
  durable: string,
  { eventId }: ParkedEvent,
  delivery: Delivery | undefined,
): Promise<boolean> {
  const key = [durable, eventId];
  if (!delivery) {
    // Since it was parked, this service has stopped reacting to events of this kind.
    await db.query(deleteParked, key);
    return true;
  }
  const afterwards = async (tx: Transaction, [outcome]: readonly Outcome[]) => {
    const locked = await tx.query(lockParked, key);
    if (locked.length === 0) throw new TakenElsewhere();
    if (outcome !== "parked") await tx.query(deleteParked, key);
  };
  try {
    return (await applyOne({ db, durable, adopt: true, afterwards }, delivery)) !== "parked";
  } catch (error) {
    if (error instanceof TakenElsewhere) return false;
    throw error;
  }
}

/** Rolls an application back that another replica is at; never leaves this file. */
class TakenElsewhere extends Error {}
