/** A Kubernetes object, as far as this tool looks into it; specs are read where it is known whose they are. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind, whose shape the API server vouches for.
  readonly spec?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly status?: any;
  readonly data?: Readonly<Record<string, string>>;
}

/** What every object says about itself. */
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
}

/** Whose fields the tool's are; a later `kubectl apply` of others leaves them alone or says that it would not. */
export const FIELD_MANAGER = "souk-canary";

/** On everything the tool makes: the service it is about. */
export const CANARY_LABEL = "souk.dev/canary";

/** On routes: the run that may change their weights. A run that was taken over finds another's name, and stops. */
export const RUN_ANNOTATION = "souk.dev/canary-run";

/** The label by which Services, policies and people find a workload's pods. */
export const NAME_LABEL = "app.kubernetes.io/name";

/** The label that tells a canary's pods from stable ones. */
export const TRACK_LABEL = "track";
