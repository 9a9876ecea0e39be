/**
 * Thrown by a codec that meets what it does not handle: something rare, or something wrong. The caller then takes the way over
 * message objects, which handles all of it and names faults. One instance, since a stack trace would cost more than the call.
 */
export const unusual = new Error("left to the way over message objects");

/** Runs a codec; undefined where it gave up. */
export function unlessUnusual<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error === unusual) return undefined;
    throw error;
  }
}
