import type { DeclaredCalls } from "#kit/service/calls.ts";
import { edgePolicyFor, operatorServices, publicServices } from "./policy.ts";

/** What the gateway calls: every method whose audience is the edge. */
export const calls: DeclaredCalls = {
  rpcs: [...publicServices.keys(), ...operatorServices]
    .flatMap(({ methods }) => methods)
    .filter((method) => edgePolicyFor(method).exposed),
};
