/**
 * Thrown by a codec that meets what it does not handle: something rare, or something wrong. The caller then takes the way over
 * message objects, which handles all of it and names faults. One instance, since a stack trace would cost more than the call.
 */
export const unusual = new Error("left to the way over message objects");

/** What a codec answers where it gave up; whatever else was thrown is thrown on. */
export function giveUp(thrown: unknown): undefined {
  if (thrown !== unusual) throw thrown;
  return undefined;
}
