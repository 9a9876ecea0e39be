import { type Edge, OUTSIDE, readCallGraph } from "../../../tools/policies/call-graph.ts";
import { WORKLOADS } from "../../../tools/policies/workloads.ts";
import type { Check } from "../check.ts";
import { callFrom, type PodName } from "../cluster/caller.ts";
import type { ProbeAnswer, ProbeCall, ProbeToken } from "../cluster/probe.ts";
import { anybody } from "../cluster/requests.ts";

/** gRPC codes by which a mesh, a network or a missing method speaks, never a service that has got the call. */
const NOT_THE_SERVICE = new Set([-1, 2, 7, 12, 13, 14]);
const FORBIDDEN = 403;
const UNAVAILABLE = 503;

/** Whether the answer is the called service's own, whatever it thinks of an empty message. */
export const isAnswered = ({ kind }: ProbeCall, { status }: ProbeAnswer): boolean =>
  kind === "grpc"
    ? !NOT_THE_SERVICE.has(status)
    : status > 0 && status !== FORBIDDEN && status !== UNAVAILABLE;

/** Every call that the code declares reaches its service, from the caller's own pod and with its identity. */
export const declaredCalls: Check = {
  name: "declared-calls",
  async run(_, report) {
    for (const edge of await readCallGraph()) {
      const { caller, callee } = edge;
      const claim = `${caller} may call ${callee}`;
      if (caller === OUTSIDE) {
        report.skip(claim, "the way in from outside is deploy/components/edge, which is not in this overlay");
      } else if (caller === "seed") {
        report.skip(claim, "seed is a Job that has ended; comes-up is what it did");
      } else {
        const calls = callsOf(edge);
        const answers = await callFrom(podOf(caller), calls, tokenOf(caller));
        const failed = answers.flatMap((answer, index) => {
          const call = calls[index] as ProbeCall;
          return isAnswered(call, answer) ? [] : [`${call.path} ${answer.status} ${answer.text}`];
        });
        report.expect(failed.length === 0, claim, failed.join("; ") || `${calls.length} calls were answered`);
      }
    }
  },
};

/** A call of each operation, with an empty message. */
export function callsOf({ callee, operations }: Edge): ProbeCall[] {
  const { port, protocol } = WORKLOADS.find(({ name }) => name === callee) ?? {};
  const target = `${callee}:${port}`;
  if (operations.length === 0) return [{ kind: "http", target, path: "/" }];
  return operations.flatMap(({ methods, paths }) =>
    paths.map((path) => ({
      kind: protocol === "grpc" ? ("grpc" as const) : ("http" as const),
      target,
      path,
      method: methods[0] ?? "GET",
    })),
  );
}

const standIns = new Set(WORKLOADS.filter(({ standIn }) => standIn).map(({ name }) => name));

/** Where a workload's own program runs. */
export const podOf = (workload: string): PodName =>
  `${standIns.has(workload) ? "statefulset" : "deploy"}/${workload}`;

function tokenOf(caller: string): ProbeToken | undefined {
  if (standIns.has(caller)) return undefined;
  return caller === "gateway" ? anybody : "service";
}
