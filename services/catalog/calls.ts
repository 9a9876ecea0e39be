import type { DeclaredCalls } from "#kit/service/calls.ts";

/** What catalog calls: nobody. */
export const calls: DeclaredCalls = {};
