import fc from "fast-check";
import { runHistory } from "./history.ts";
import type { Mutation } from "./mutations.ts";
import { type Plan, plans } from "./plan.ts";

/** How many histories, and which. */
export interface Search {
  readonly histories: number;
  /** The same seed makes the same histories. */
  readonly seed: number;
  /** Where a failure was found under that seed: only that one is run again. */
  readonly path?: string | undefined;
  /** Whether a failure is made smaller, which takes a few hundred histories more; true by default. */
  readonly shrink?: boolean;
}

/** What a search came to. */
export interface Found {
  /** Histories that happened, without those by which a failure was made smaller. */
  readonly ran: number;
  /** How often each edge of a saga was taken: `confirmed`-side and undoing ones. */
  readonly edges: ReadonlyMap<string, number>;
  readonly failure: Failure | undefined;
}

/** The smallest history that could be found to go wrong, and how to have it again. */
export interface Failure {
  readonly violations: string;
  readonly plan: Plan;
  readonly seed: number;
  readonly path: string;
}

/** Lets histories happen, until one goes wrong or all are done. */
export async function checkHistories(
  { histories, seed, path = "", shrink = true }: Search,
  mutation: Mutation,
): Promise<Found> {
  const edges = new Map<string, number>();
  const property = fc.asyncProperty(plans, async (plan) => {
    const { violations, seen } = await runHistory(plan, mutation);
    for (const edge of seen) edges.set(edge, (edges.get(edge) ?? 0) + 1);
    if (violations.length > 0) throw new Error(violations.join("\n"));
  });
  const result = await fc.check(property, { numRuns: histories, seed, path, endOnFailure: !shrink });
  if (!result.failed) return { ran: result.numRuns, edges, failure: undefined };
  const [plan] = result.counterexample ?? [];
  if (!plan) throw new Error(`no history failed, but ${result.errorInstance}`);
  const violations = (result.errorInstance as Error).message;
  return {
    ran: result.numRuns,
    edges,
    failure: { violations, plan, seed, path: result.counterexamplePath ?? "" },
  };
}
