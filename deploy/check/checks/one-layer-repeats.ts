import { parse } from "yaml";
import type { Check } from "../check.ts";
import { readJson } from "../cluster/kubectl.ts";

interface MeshConfig {
  readonly defaultHttpRetryPolicy?: { readonly attempts?: number };
}

/** The mesh sends no call a second time: that is for the edge and the kit, who know which may be repeated. */
export const oneLayerRepeats: Check = {
  name: "one-layer-repeats",
  async run(_, report) {
    const args = ["--namespace", "istio-system", "get", "configmap", "istio"];
    const { data } = await readJson<{ data: { mesh: string } }>(args);
    const attempts = (parse(data.mesh) as MeshConfig).defaultHttpRetryPolicy?.attempts;
    const seen = `defaultHttpRetryPolicy.attempts is ${attempts ?? "not set, which means 2"} (deploy/platform/istio.yaml)`;
    report.expect(attempts === 0, "the mesh repeats no call", seen);
  },
};
