// The program that the conformance suite starts: an edge in front of a grpc-js backend, as one request on stdin asks for it.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "#gen/connectrpc/conformance/v1/server_compat_pb.ts";
import { file_connectrpc_conformance_v1_service } from "#gen/connectrpc/conformance/v1/service_pb.ts";
import { createEdge } from "../edge.ts";
import type { ListenerTls } from "../options.ts";
import { maxTimeoutMs, startConformanceBackend } from "./backend.ts";
import { readSized, writeSized } from "./sized.ts";

const backendMaxBytes = 64 * 1024 * 1024;

const [asked] = await Array.fromAsync(firstOf(readSized(process.stdin)));
if (asked === undefined) throw new Error("the suite sent no request");
const request = fromBinary(ServerCompatRequestSchema, asked);
const backend = await startConformanceBackend(backendMaxBytes);
const edge = createEdge({
  registry: [file_connectrpc_conformance_v1_service],
  backendFor: () => ({ address: `http://127.0.0.1:${backend.port}` }),
  // The suite compares texts of every code.
  internalErrors: "show",
  limits: {
    maxRequestBytes: request.messageReceiveLimit || backendMaxBytes,
    maxResponseBytes: backendMaxBytes,
    maxTimeoutMs,
    maxTargetBytes: 64 * 1024,
    maxHeaderBytes: 128 * 1024,
  },
});
const tls = tlsOf(request);
const { port } = await edge.listen({ host: "127.0.0.1", port: 0, ...(tls && { tls }) });
const pemCert = request.serverCreds?.cert ?? new Uint8Array();
writeSized(
  toBinary(
    ServerCompatResponseSchema,
    create(ServerCompatResponseSchema, { host: "127.0.0.1", port, pemCert }),
  ),
);
process.once("SIGTERM", () => {
  void edge.close().then(() => backend.close());
});

async function* firstOf<T>(all: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const one of all) {
    yield one;
    return;
  }
}

function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerCompatRequest): ListenerTls | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "edge-conformance-"));
  const put = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes, { mode: 0o600 });
    return path;
  };
  return {
    certFile: put("cert.pem", serverCreds.cert),
    keyFile: put("key.pem", serverCreds.key),
    ...(clientTlsCert.length > 0 && { clientCaFile: put("client.pem", clientTlsCert) }),
  };
}
