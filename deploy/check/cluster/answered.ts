import { kubectl } from "./kubectl.ts";
import { SHOP } from "./namespaces.ts";
import type { ProbeCall } from "./probe.ts";

const READ_METRICS =
  "fetch('http://127.0.0.1:9090/metrics').then((r) => r.text()).then((t) => console.log(t))";

/** How many calls of a call's method a pod has answered since it started, as it counts them itself. */
export async function callsAnswered(pod: string, { path = "" }: Pick<ProbeCall, "path">): Promise<number> {
  const text = await kubectl([
    "--namespace",
    SHOP,
    "exec",
    pod,
    "--container",
    "app",
    "--",
    "node",
    "-e",
    READ_METRICS,
  ]);
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`rpc_server_calls_total{method="${path.slice(1)}"`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
