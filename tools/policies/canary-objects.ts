import { type KubernetesObject, nameLabel } from "./kubernetes-object.ts";
import { destinationRule } from "./mesh-objects.ts";
import { NAMESPACE, WORKLOADS } from "./workloads.ts";

// There are no pods of a canary until there is one, which linters have to be told.
const WITHOUT_PODS = {
  "kube-score/ignore": "service-targets-pod",
  "ignore-check.kube-linter.io/dangling-service": "pods come with a canary",
};

/** For each service of the shop the two Services that a canary's route leads to, with a rule each. */
export function canaryObjects(): KubernetesObject[] {
  const canaried = WORKLOADS.filter(({ standIn }) => !standIn);
  return canaried.flatMap(({ name, port, protocol }) =>
    ["stable", "canary"].flatMap((track) => [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: {
          name: `${name}-${track}`,
          namespace: NAMESPACE,
          labels: nameLabel(name),
          ...(track === "canary" ? { annotations: WITHOUT_PODS } : {}),
        },
        spec: {
          selector: { ...nameLabel(name), track },
          ports: [{ name: protocol, port, targetPort: protocol, appProtocol: protocol }],
        },
      },
      destinationRule(`${name}-${track}`, protocol),
    ]),
  );
}
