// The program that the conformance suite starts for clients: calls of the edge's own gRPC client, as requests on stdin ask for them.

import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ClientCompatRequest,
  ClientCompatRequestSchema,
  ClientCompatResponseSchema,
} from "#gen/connectrpc/conformance/v1/client_compat_pb.ts";
import { Upstream } from "../upstream/upstream.ts";
import { ConformanceCall } from "./client-call.ts";
import { readSized, writeSized } from "./sized.ts";

const upstreams = new Map<string, Upstream>();

function upstreamFor({ host, port, serverTlsCert, clientTlsCreds }: ClientCompatRequest): Upstream {
  const secure = serverTlsCert.length > 0;
  const address = `${secure ? "https" : "http"}://${host}:${port}`;
  let upstream = upstreams.get(address);
  if (upstream === undefined) {
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
    const shown = clientTlsCreds && { cert: text(clientTlsCreds.cert), key: text(clientTlsCreds.key) };
    const backend = secure ? { address, tls: { ca: text(serverTlsCert), ...shown } } : { address };
    upstream = new Upstream({ backend, maxInFlight: 1_000, maxSessions: 4 });
    upstreams.set(address, upstream);
  }
  return upstream;
}

async function answer(request: ClientCompatRequest): Promise<void> {
  const call = new ConformanceCall(upstreamFor(request), request);
  const response = await call.run();
  const { testName } = request;
  writeSized(
    toBinary(
      ClientCompatResponseSchema,
      create(ClientCompatResponseSchema, { testName, result: { case: "response", value: response } }),
    ),
  );
}

const running = new Set<Promise<void>>();
for await (const bytes of readSized(process.stdin)) {
  const one = answer(fromBinary(ClientCompatRequestSchema, bytes)).finally(() => running.delete(one));
  running.add(one);
  // So many at a time, so that a busy machine does not make calls late.
  while (running.size >= 8) await sleep(1);
}
await Promise.all(running);
for (const upstream of upstreams.values()) upstream.close();
