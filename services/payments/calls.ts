import type { DeclaredCalls } from "#kit/service/calls.ts";

/** What payments calls: the card processor, whose sandbox stands in for it. */
export const calls: DeclaredCalls = { sandboxes: ["card-processor"] };
