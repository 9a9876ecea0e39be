// Envoy's gRPC-JSON transcoder, where ENVOY names its binary.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { readFirstBytes } from "../../tools/stores/first-bytes.ts";
import { findFreePort } from "../../tools/stores/free-port.ts";

const readyWithinMs = 20_000;

/** Envoy, listening. */
export interface RunningEnvoy {
  readonly child: ChildProcess;
  readonly port: number;
}

/** Its version as it says it. */
export function envoyVersion(binary: string): string {
  return /\d+\.\d+\.\d+/.exec(execFileSync(binary, ["--version"], { encoding: "utf8" }))?.[0] ?? "unknown";
}

/** Starts Envoy with one worker in front of a gRPC backend; throws where it is not ready in time. */
export async function startEnvoy(binary: string, backendPort: number, folder: string): Promise<RunningEnvoy> {
  const descriptors = join(folder, "orders.binpb");
  const config = join(folder, "envoy.json");
  const port = await findFreePort();
  writeFileSync(descriptors, descriptorSet(OrdersService.file));
  writeFileSync(config, JSON.stringify(bootstrap(port, backendPort, descriptors)));
  const flags = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", config];
  const child = spawn(binary, flags, { stdio: ["ignore", "ignore", "inherit"] });
  const lateAt = performance.now() + readyWithinMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > lateAt) throw new Error("Envoy did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { child, port };
}

async function answers(port: number): Promise<boolean> {
  const first = await readFirstBytes(
    port,
    "GET / HTTP/1.1\r\nhost: bench\r\n\r\n",
    AbortSignal.timeout(500),
  ).catch(() => "");
  return first.startsWith("HTTP/1.1");
}

function descriptorSet(file: DescFile): Uint8Array {
  const files = new Map<string, DescFile>();
  const collect = (one: DescFile) => {
    if (files.has(one.name)) return;
    for (const dependency of one.dependencies) collect(dependency);
    files.set(one.name, one);
  };
  collect(file);
  return toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: [...files.values()].map(({ proto }) => proto) }),
  );
}

const extension = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const socketAddress = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

function bootstrap(port: number, backendPort: number, descriptors: string) {
  const transcoder = {
    "@type": extension("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
    proto_descriptor: descriptors,
    services: [OrdersService.typeName],
    // As the edge writes them.
    print_options: { always_print_primitive_fields: true },
    convert_grpc_status: true,
  };
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    codec_type: "AUTO",
    stat_prefix: "bench",
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "backend" } }] },
      ],
    },
    http_filters: [
      { name: "transcoder", typed_config: transcoder },
      { name: "router", typed_config: { "@type": extension("filters.http.router.v3.Router") } },
    ],
  };
  const cluster = {
    name: "backend",
    type: "STATIC",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: "backend",
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(backendPort) } }] }],
    },
  };
  return {
    static_resources: {
      listeners: [
        {
          address: socketAddress(port),
          filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
        },
      ],
      clusters: [cluster],
    },
  };
}
