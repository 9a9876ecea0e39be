import type { DeclaredCalls } from "#kit/service/calls.ts";

/** What shipping calls: the carrier, whose sandbox stands in for it. */
export const calls: DeclaredCalls = { sandboxes: ["carrier"] };
