import type { DeclaredCalls } from "#kit/service/calls.ts";

/** What inventory calls: nobody. */
export const calls: DeclaredCalls = {};
