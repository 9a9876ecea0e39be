// What runs in the cluster beside what the services declare: ports, stores, and who is called by everybody.

import { SERVICE_NAMES } from "../start/service-names.ts";

/** The namespace of everything that has a sidecar. */
export const NAMESPACE = "souk";

/** The namespace of the stores, which are outside the mesh and encrypt for themselves. */
export const DATA_NAMESPACE = "souk-data";

/** Where Prometheus and the collector of traces live. */
export const MONITORING_NAMESPACE = "monitoring";

/** The port of every service's gRPC. */
export const GRPC_PORT = 50_051;

/** Of the side port, and of the sidecar that merges it with its own numbers. */
export const METRICS_PORTS = [9090, 15_020];

/** The gateway that the mesh runs for deploy/components/edge: its service account, and the label of its pods. */
export const EDGE = {
  serviceAccount: "souk-edge-istio",
  podLabels: { "gateway.networking.k8s.io/gateway-name": "souk-edge" },
};

/** A store, and the port it is reached by. */
export const STORE_PORTS = { postgres: 5432, nats: 4222, redis: 6379 } as const;

/** Name of a store. */
export type StoreName = keyof typeof STORE_PORTS;

/** A workload with an identity of its own. */
export interface Workload {
  readonly name: string;
  /** Where it declares what it calls, from the root of the repository. */
  readonly calls?: string;
  /** What others reach it by; none for one that is called by nobody. */
  readonly port?: number;
  readonly protocol: "grpc" | "http" | "none";
  readonly stores: readonly StoreName[];
  /** Verifies tokens, or gets some. */
  readonly asksIssuer: boolean;
  /** Only in overlays with stand-ins of the outside world. */
  readonly standIn: boolean;
}

const service = (name: string): Workload => ({
  name,
  calls: `services/${name}/calls.ts`,
  port: GRPC_PORT,
  protocol: "grpc",
  stores: ["postgres", "nats", "redis"],
  asksIssuer: true,
  standIn: false,
});

const standIn = (name: string, port: number): Workload => ({
  name,
  port,
  protocol: "http",
  stores: [],
  asksIssuer: false,
  standIn: true,
});

/** Every workload that calls or is called. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: "gateway",
    calls: "services/gateway/calls.ts",
    port: 8080,
    protocol: "http",
    stores: ["redis"],
    asksIssuer: true,
    standIn: false,
  },
  ...SERVICE_NAMES.map(service),
  standIn("card-processor", 8100),
  standIn("carrier", 8101),
  standIn("issuer", 8102),
  {
    name: "seed",
    calls: "tools/seed/calls.ts",
    protocol: "none",
    stores: [],
    asksIssuer: true,
    standIn: true,
  },
];

/** Calls over plain HTTP that no contract declares. */
export const HTTP_CALLS = {
  /** To the issuer, from whoever asks it. */
  issuer: [
    { methods: ["GET"], paths: ["/.well-known/jwks.json"] },
    { methods: ["POST"], paths: ["/token"] },
  ],
  /** From the card processor to the gateway. */
  webhooks: [{ methods: ["POST"], paths: ["/v1/webhooks/card-processor"] }],
} as const;
