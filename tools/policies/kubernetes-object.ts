/** A Kubernetes object as it is written down. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

/** The label by which Services, policies and people find a workload's pods, of whatever track. */
export const nameLabel = (name: string) => ({ "app.kubernetes.io/name": name });
