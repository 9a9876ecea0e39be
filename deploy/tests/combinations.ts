/** Choices of components that have to work on the base without the rest: what a team of its own needs might pick. */
export const COMBINATIONS: readonly (readonly string[])[] = [
  [],
  ["network-policies"],
  ["mesh-sidecar"],
  ["data-namespace", "data-redis", "data-nats"],
  ["sandboxes", "data-dev", "secrets-dev"],
  ["sandboxes", "data-dev", "secrets-dev", "network-policies", "sandboxes-network", "data-dev-network"],
  ["data-namespace", "data-cnpg", "data-cnpg-network", "secrets-external"],
  ["mesh-sidecar", "edge", "canary", "canary-rollouts"],
  ["autoscaling", "autoscaling-nats", "observability"],
  ["autoscaling", "admission", "debug", "dev-loosen"],
];
