// Pods that have one workload's identity and another's place in the network, to try one kind of policy without the other.

import type { Setting } from "../check.ts";
import { apply, kubectl } from "./kubectl.ts";
import { SHOP } from "./namespaces.ts";

const READY_WITHIN_MS = 90_000;

/** Who a pod is. */
export interface Impostor {
  readonly name: string;
  /** By which the mesh knows it: its certificate's. */
  readonly serviceAccount: string;
  /** By which network policies know it: the value of `app.kubernetes.io/name`. */
  readonly label: string;
  readonly sidecar: boolean;
}

/** Starts the pods, tries something, and removes them. None of them ever gets calls meant for the workload whose label it has. */
export async function withImpostors<T>(
  setting: Pick<Setting, "tag" | "registry">,
  impostors: readonly Impostor[],
  use: () => Promise<T>,
): Promise<T> {
  const names = impostors.map(({ name }) => name);
  const remove = () =>
    kubectl(["--namespace", SHOP, "delete", "pod", ...names, "--ignore-not-found", "--grace-period=1"]);
  await remove();
  try {
    await apply(impostors.map((impostor) => podFor(setting, impostor)));
    for (const name of names)
      await kubectl(
        [
          "--namespace",
          SHOP,
          "wait",
          `pod/${name}`,
          "--for=condition=ContainersReady",
          `--timeout=${READY_WITHIN_MS / 1000}s`,
        ],
        { timeoutMs: READY_WITHIN_MS + 5_000 },
      );
    return await use();
  } finally {
    await remove();
  }
}

function podFor({ tag, registry }: Pick<Setting, "tag" | "registry">, impostor: Impostor) {
  const { name, serviceAccount, label, sidecar } = impostor;
  const resources = { requests: { cpu: "5m", memory: "64Mi" }, limits: { memory: "192Mi" } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: SHOP,
      labels: {
        "app.kubernetes.io/name": label,
        "app.kubernetes.io/part-of": "souk",
        "sidecar.istio.io/inject": `${sidecar}`,
      },
      annotations: { "sidecar.istio.io/proxyCPU": "5m", "sidecar.istio.io/proxyMemory": "64Mi" },
    },
    spec: {
      serviceAccountName: serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      // Nobody ever grants it, so the pod is never an endpoint of the Service whose label it has.
      readinessGates: [{ conditionType: "souk.dev/never" }],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10001,
        runAsGroup: 10001,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "app",
          image: `${registry}souk/tools:${tag}`,
          imagePullPolicy: "IfNotPresent",
          command: ["node", "-e", "setInterval(() => {}, 1 << 30)"],
          resources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
        },
      ],
    },
  };
}
