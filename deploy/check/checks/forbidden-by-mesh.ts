import { type Edge, readCallGraph } from "../../../tools/policies/call-graph.ts";
import type { Check, Report } from "../check.ts";
import { callFrom } from "../cluster/caller.ts";
import { type Impostor, withImpostors } from "../cluster/impostor.ts";
import { SERVICES } from "../cluster/namespaces.ts";
import type { ProbeAnswer, ProbeCall } from "../cluster/probe.ts";
import { callsOf, isAnswered } from "./declared-calls.ts";

const REFUSED_CALLERS = 3;
const PERMISSION_DENIED = 7;
const FORBIDDEN = 403;

/** The network lets these pods through to every service, as it does the debug pod; only their identity is another's. */
const impostors: readonly Impostor[] = SERVICES.map((service) => ({
  name: `check-identity-${service}`,
  serviceAccount: service,
  label: "debug",
  sidecar: true,
}));

/** The mesh refuses what is not declared, where the network would let it pass. */
export const forbiddenByMesh: Check = {
  name: "forbidden-by-mesh",
  async run(setting, report) {
    const edges = await readCallGraph();
    await withImpostors(setting, impostors, async () => {
      for (const callee of SERVICES) await tryCallee(callee, edges, report);
      await tryUndeclaredMethod(edges, report);
    });
  },
};

async function tryCallee(callee: string, edges: readonly Edge[], report: Report) {
  const toCallee = edges.filter((edge) => edge.callee === callee);
  const may = new Set(toCallee.map(({ caller }) => caller));
  const others = SERVICES.filter((name) => name !== callee && !may.has(name)).slice(0, REFUSED_CALLERS);
  const call = toCallee.flatMap(callsOf)[0] as ProbeCall;
  const declared = toCallee.find(({ caller }) => SERVICES.some((name) => name === caller));
  if (declared) {
    const [control] = await callFrom(`pod/check-identity-${declared.caller}`, callsOf(declared).slice(0, 1));
    const passes = control !== undefined && isAnswered(call, control);
    report.expect(
      passes,
      `${declared.caller}'s identity reaches ${callee} from there (control)`,
      say(control),
    );
  }
  for (const caller of others) {
    const [answer] = await callFrom(`pod/check-identity-${caller}`, [call]);
    report.expect(isRefused(call, answer), `${caller} may not call ${callee} (mesh alone)`, say(answer));
  }
}

/** Who may call one method may not call the next. */
async function tryUndeclaredMethod(edges: readonly Edge[], report: Report) {
  for (const edge of edges) {
    const { caller, callee } = edge;
    const path = edge.operations[0]?.paths[0] ?? "";
    if (!(SERVICES.some((name) => name === caller) && SERVICES.some((name) => name === callee))) continue;
    const area = path.slice(1, path.indexOf("/", 1));
    const call: ProbeCall = { kind: "grpc", target: `${callee}:50051`, path: `/${area}/NobodyDeclaredThis` };
    const [answer] = await callFrom(`pod/check-identity-${caller}`, [call]);
    report.expect(isRefused(call, answer), `${caller} may call no other method of ${callee}`, say(answer));
  }
}

const isRefused = ({ kind }: ProbeCall, answer: ProbeAnswer | undefined) =>
  answer?.text.includes("RBAC: access denied") === true &&
  answer.status === (kind === "grpc" ? PERMISSION_DENIED : FORBIDDEN);

const say = (answer: ProbeAnswer | undefined) => `${answer?.status} ${answer?.text}`;
