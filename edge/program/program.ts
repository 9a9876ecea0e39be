import { readFileSync } from "node:fs";
import type { DescService, FileRegistry } from "@bufbuild/protobuf";
import { createEdge, type Edge } from "../edge.ts";
import type { BackendTls, ListenerTls } from "../options.ts";
import { Upstream } from "../upstream/upstream.ts";
import { createAccessLog } from "./access-log.ts";
import { readDescriptors } from "./descriptors.ts";
import { type BackendFlag, type EdgeFlags, FlagError } from "./flags.ts";
import { createRequestMetrics } from "./metrics.ts";
import { startOperations } from "./operations.ts";
import { reflect } from "./reflection.ts";

/** A running edge. */
export interface RunningProgram {
  readonly port: number;
  readonly operationsPort: number | undefined;
  /** What is served, one `service: address` each. */
  readonly served: readonly string[];
  /** Lets requests in flight end, then closes everything. */
  stop(): Promise<void>;
}

/** Starts what the command line asks for; throws an Error whose message tells the person who typed it what is wrong. */
export async function startProgram(flags: EdgeFlags): Promise<RunningProgram> {
  const backendTls = readBackendTls(flags);
  const { registry, offers } = await readContracts(flags, backendTls);
  const services = chooseServices(flags, registry, offers);
  const metrics = createRequestMetrics();
  const accessLog = flags.accessLog ? createAccessLog(process.stderr) : undefined;
  const edge = createEdge({
    registry,
    services: (service) => services.has(service),
    backendFor: (service) => ({
      address: services.get(service)?.address ?? "",
      ...(backendTls && { tls: backendTls }),
    }),
    policyFor: () => ({ emitDefaults: flags.emitDefaults }),
    unknownMembers: flags.unknownMembers,
    responseHeaders: flags.responseHeaders,
    ...(flags.corsOrigins.length > 0 && { cors: { origins: flags.corsOrigins } }),
    limits: flags.limits,
    onSettled: (settled) => {
      metrics.observe(settled);
      accessLog?.(settled);
    },
  });
  return open(flags, edge, metrics, services);
}

async function open(
  flags: EdgeFlags,
  edge: Edge,
  metrics: ReturnType<typeof createRequestMetrics>,
  services: ReadonlyMap<DescService, BackendFlag>,
): Promise<RunningProgram> {
  let ready = false;
  const operations =
    flags.operations && (await startOperations(flags.operations, metrics.registry, () => ready));
  const tls = listenerTls(flags);
  const { port } = await edge.listen({ ...flags.listen, ...(tls && { tls }) });
  ready = true;
  return {
    port,
    operationsPort: operations?.port,
    served: Array.from(services, ([{ typeName }, { address }]) => `${typeName}: ${address}`),
    async stop() {
      ready = false;
      await edge.drain();
      await edge.close();
      await operations?.close();
    },
  };
}

interface Contracts {
  readonly registry: FileRegistry;
  /** Services that a backend's address is known to answer; undefined where descriptors were given instead. */
  readonly offers: ReadonlyMap<string, readonly string[]> | undefined;
}

async function readContracts(flags: EdgeFlags, tls: BackendTls | undefined): Promise<Contracts> {
  if (flags.descriptors.length > 0)
    return { registry: readDescriptors(flags.descriptors), offers: undefined };
  const addresses = [...new Set(flags.backends.map(({ address }) => address))];
  const asked = addresses.map((address) => ({
    address,
    upstream: new Upstream({ backend: { address, ...(tls && { tls }) }, maxInFlight: 10, maxSessions: 1 }),
  }));
  try {
    const { registry, services } = await reflect(asked);
    return { registry, offers: services };
  } finally {
    for (const { upstream } of asked) upstream.close();
  }
}

function chooseServices(
  flags: EdgeFlags,
  registry: FileRegistry,
  offers: Contracts["offers"],
): Map<DescService, BackendFlag> {
  const all = [...registry].filter((type) => type.kind === "service");
  const chosen = new Map<DescService, BackendFlag>();
  for (const service of all) {
    const { typeName } = service;
    // What a server says of itself is for the inside.
    if (typeName.startsWith("grpc.reflection.")) continue;
    if (flags.services.length > 0 && !flags.services.some((name) => covers(name, typeName))) continue;
    const backend = backendOf(flags.backends, typeName);
    if (backend === undefined || offers?.get(backend.address)?.includes(typeName) === false) continue;
    chosen.set(service, backend);
  }
  refuseUnused(flags, all, chosen);
  return chosen;
}

/** A prefix that nothing bears is a slip of the pen, and would show only as 404. */
function refuseUnused(
  { backends, services }: EdgeFlags,
  all: readonly DescService[],
  chosen: ReadonlyMap<DescService, BackendFlag>,
): void {
  const idle = backends.find(
    ({ prefix }) => prefix !== "" && !all.some(({ typeName }) => covers(prefix, typeName)),
  );
  if (idle !== undefined)
    throw new FlagError(`--backend ${idle.prefix}=…: no service of this name or package`);
  const absent = services.find((name) => !all.some(({ typeName }) => covers(name, typeName)));
  if (absent !== undefined) throw new FlagError(`--service ${absent}: no service of this name or package`);
  if (chosen.size === 0)
    throw new FlagError(all.length === 0 ? "the descriptors hold no service" : "no service has a backend");
}

function backendOf(backends: readonly BackendFlag[], typeName: string): BackendFlag | undefined {
  return backends
    .filter(({ prefix }) => prefix === "" || covers(prefix, typeName))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

function covers(name: string, typeName: string): boolean {
  return typeName === name || typeName.startsWith(`${name}.`);
}

function listenerTls({ tls: { certFile, keyFile, caFile } }: EdgeFlags): ListenerTls | undefined {
  if (certFile === undefined || keyFile === undefined) return undefined;
  return { certFile, keyFile, ...(caFile !== undefined && { clientCaFile: caFile }) };
}

function readBackendTls({
  backendTls: { certFile, keyFile, caFile, serverName },
}: EdgeFlags): BackendTls | undefined {
  const files = { cert: certFile, key: keyFile, ca: caFile };
  const read = Object.entries(files).flatMap(([name, file]) =>
    file === undefined ? [] : [[name, readFileSync(file, "utf8")] as const],
  );
  if (read.length === 0 && serverName === undefined) return undefined;
  return { ...Object.fromEntries(read), ...(serverName !== undefined && { serverName }) };
}
