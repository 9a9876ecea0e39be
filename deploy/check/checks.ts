import type { Check } from "./check.ts";
import { canaryEnds } from "./checks/canary-ends.ts";
import { canaryFaults } from "./checks/canary-faults.ts";
import { canaryGood } from "./checks/canary-good.ts";
import { canaryNext } from "./checks/canary-next.ts";
import { canaryShares } from "./checks/canary-shares.ts";
import { comesUp } from "./checks/comes-up.ts";
import { declaredCalls } from "./checks/declared-calls.ts";
import { eviction } from "./checks/eviction.ts";
import { forbiddenByMesh } from "./checks/forbidden-by-mesh.ts";
import { forbiddenByNetwork } from "./checks/forbidden-by-network.ts";
import { grpcurl } from "./checks/grpcurl.ts";
import { oneLayerRepeats } from "./checks/one-layer-repeats.ts";
import { orderConfirmed } from "./checks/order-confirmed.ts";
import { podsDie } from "./checks/pods-die.ts";
import { rollingRestart } from "./checks/rolling-restart.ts";
import { spread } from "./checks/spread.ts";
import { toolsInTheMesh } from "./checks/tools-in-the-mesh.ts";
import { usage } from "./checks/usage.ts";

/** Everything that is tried, in the order it is tried. To add a check, write it in `checks/` and name it here. */
export const CHECKS: readonly Check[] = [
  comesUp,
  oneLayerRepeats,
  orderConfirmed,
  toolsInTheMesh,
  grpcurl,
  declaredCalls,
  forbiddenByMesh,
  forbiddenByNetwork,
  rollingRestart,
  eviction,
  spread,
  canaryShares,
  canaryFaults,
  canaryGood,
  canaryEnds,
  usage,
  podsDie,
  // It leaves orders with an event that no release knows, so whatever judges all orders comes before.
  canaryNext,
];
