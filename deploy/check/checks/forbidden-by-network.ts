import { type Edge, readCallGraph } from "../../../tools/policies/call-graph.ts";
import type { Check, Report } from "../check.ts";
import { callFrom } from "../cluster/caller.ts";
import { type Impostor, withImpostors } from "../cluster/impostor.ts";
import { SERVICES, STORES } from "../cluster/namespaces.ts";
import type { ProbeAnswer, ProbeCall } from "../cluster/probe.ts";
import { until } from "../cluster/until.ts";

const REFUSED_CALLERS = 3;
/** Tells the gateway what has become of payments; nobody else in here may call it. */
const WEBHOOKS = "card-processor";
const SETTLED_WITHIN_MS = 30_000;
const CONNECT_WITHIN_MS = 2_000;

/** No sidecar stands before these pods or asks who they are: what stops them is the network. */
const impostors: readonly Impostor[] = [...SERVICES, WEBHOOKS].map((service) => ({
  name: `check-place-${service}`,
  serviceAccount: "debug",
  label: service,
  sidecar: false,
}));

const connection = (target: string): ProbeCall => ({ kind: "tcp", target, timeoutMs: CONNECT_WITHIN_MS });
const portOf = (service: string) => (service === "gateway" ? 8080 : 50_051);
const isConnected = (answer: ProbeAnswer | undefined) => answer?.status === 0;
const say = (answer: ProbeAnswer | undefined) =>
  `${isConnected(answer) ? "" : "no connection: "}${answer?.text}`;

/** The network cuts off what is not declared, without any help of the mesh. */
export const forbiddenByNetwork: Check = {
  name: "forbidden-by-network",
  async run(setting, report) {
    const edges = await readCallGraph();
    await withImpostors(setting, impostors, async () => {
      for (const callee of SERVICES) await tryCallee(callee, edges, report);
      await tryStores(report);
      await tryPlaintext(report);
    });
  },
};

async function tryCallee(callee: string, edges: readonly Edge[], report: Report) {
  const callers = edges.filter((edge) => edge.callee === callee).map(({ caller }) => caller);
  const declared = [...SERVICES, WEBHOOKS].find((name) => callers.includes(name));
  const call = connection(`${callee}:${portOf(callee)}`);
  if (declared !== undefined) {
    // Policies take a moment to reach a new pod, and until then nothing passes.
    const passes = await until(`${declared} to reach ${callee}`, SETTLED_WITHIN_MS, async () => {
      const [answer] = await callFrom(`pod/check-place-${declared}`, [call]);
      return isConnected(answer) ? answer : undefined;
    }).catch(() => undefined);
    report.expect(passes !== undefined, `${declared}'s place reaches ${callee} (control)`, say(passes));
  }
  const others = SERVICES.filter((name) => name !== callee && !callers.includes(name));
  for (const caller of others.slice(0, REFUSED_CALLERS)) {
    const [answer] = await callFrom(`pod/check-place-${caller}`, [call]);
    report.expect(!isConnected(answer), `${caller} does not reach ${callee} (network alone)`, say(answer));
  }
}

/** The gateway has no database and no business with the broker. */
async function tryStores(report: Report) {
  const stores = [connection(`postgres.${STORES}:5432`), connection(`nats.${STORES}:4222`)];
  const answers = await callFrom("pod/check-place-gateway", stores);
  for (const [index, { target }] of stores.entries())
    report.expect(!isConnected(answers[index]), `the gateway does not reach ${target}`, say(answers[index]));
}

/** Where the network lets a caller through, the mesh still wants a certificate. */
async function tryPlaintext(report: Report) {
  const call: ProbeCall = {
    kind: "grpc",
    target: "catalog:50051",
    path: "/souk.catalog.v1.CatalogService/ListProducts",
  };
  const [answer] = await callFrom("pod/check-place-orders", [call]);
  report.expect(answer?.status === -1, "a call without a certificate is refused (STRICT)", `${answer?.text}`);
}
