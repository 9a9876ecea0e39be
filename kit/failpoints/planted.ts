/**
 * Planted bugs: mistakes that systems of this kind have made, kept so that the consistency harness (chaos/) can prove that it
 * finds them. Inert unless the environment is `test` and PLANTED names one: a comparison with undefined otherwise.
 */
import { processEnv } from "#kit/config/config.ts";

/** Each bug, and where it is. */
export const plantedBugs = [
  /** inbox: an event is acknowledged before its effect is committed. */
  "ack-before-commit",
  /** outbox: an event is published before its transaction ends, and also when that rolls back. */
  "publish-before-commit",
  /** inbox: that an event was applied before does not matter. */
  "no-inbox",
  /** outbox: the relay's cursor passes rows of transactions whose elders are still running. */
  "naive-cursor",
  /** saga: a replica drives what it started itself; nobody takes over. */
  "saga-timers-in-memory",
  /** payments: the card processor gets another idempotency key with each attempt. */
  "charge-without-key",
  /** payments: the card processor gets another idempotency key with each attempt to pay back. */
  "refund-without-key",
  /** idempotency: undoing a command leaves nothing that refuses the command when it comes late. */
  "release-without-tombstone",
  /** inbox: an event that cannot be applied is asked for again at once. */
  "nak-without-delay",
  /** payments: a declined card is asked once more. */
  "retry-on-declined",
  /** inventory: whether there is enough is decided by what was read last, and nothing is set aside. */
  "cached-stock",
  /** idempotency: what could not be committed is answered as if it had been. */
  "swallowed-commit-error",
] as const;

/** The name of a planted bug. */
export type PlantedBug = (typeof plantedBugs)[number];

const { ENVIRONMENT, PLANTED } = processEnv();
const active = ENVIRONMENT === "test" ? PLANTED : undefined;

/** Whether this process is to have the bug. */
export const planted = (bug: PlantedBug): boolean => bug === active;
