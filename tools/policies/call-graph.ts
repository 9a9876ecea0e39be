import { join, resolve } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import type { DeclaredCalls } from "#kit/service/calls.ts";
import { SERVICE_NAMES } from "../start/service-names.ts";
import { EDGE, HTTP_CALLS, WORKLOADS, type Workload } from "./workloads.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");

/** What one workload may ask of another. Without operations: anything that the port answers. */
export interface Edge {
  /** A workload's name, or `edge` for the way in from outside. */
  readonly caller: string;
  readonly callee: string;
  readonly operations: readonly { readonly methods: readonly string[]; readonly paths: readonly string[] }[];
}

/** The name under which the way in from outside appears as a caller. */
export const OUTSIDE = "edge";

/** The service account a caller runs under. */
export const accountOf = (caller: string) => (caller === OUTSIDE ? EDGE.serviceAccount : caller);

/** Every call there may be, by callee and caller. */
export async function readCallGraph(): Promise<Edge[]> {
  const edges = (await Promise.all(WORKLOADS.map(edgesFrom))).flat();
  edges.push({ caller: OUTSIDE, callee: "gateway", operations: [] });
  edges.push({ caller: "card-processor", callee: "gateway", operations: HTTP_CALLS.webhooks });
  return edges.sort((a, b) => compare(a.callee, b.callee) || compare(a.caller, b.caller));
}

/** Reads what a program declares to call. */
export async function readCalls(path: string): Promise<DeclaredCalls> {
  const { calls } = (await import(join(REPOSITORY, path))) as { calls?: DeclaredCalls };
  if (!calls) throw new Error(`${path} exports no calls`);
  return calls;
}

/** The services that answer a method: its area's, or each of them where all answer about themselves. */
function calleesOf(method: DescMethod): readonly string[] {
  const area = method.parent.file.proto.package.split(".")[1] ?? "";
  if (area === "ops") return SERVICE_NAMES;
  if (SERVICE_NAMES.some((name) => name === area)) return [area];
  throw new Error(`No service answers ${method.parent.typeName}/${method.name}`);
}

async function edgesFrom({ name, calls: path, asksIssuer }: Workload): Promise<Edge[]> {
  const edges: Edge[] = asksIssuer ? [{ caller: name, callee: "issuer", operations: HTTP_CALLS.issuer }] : [];
  if (path === undefined) return edges;
  const { rpcs = [], sandboxes = [] } = await readCalls(path);
  const pathsByCallee = new Map<string, string[]>();
  for (const method of rpcs)
    for (const callee of calleesOf(method))
      pathsByCallee.set(callee, [...(pathsByCallee.get(callee) ?? []), pathOf(method)]);
  for (const [callee, paths] of pathsByCallee)
    edges.push({ caller: name, callee, operations: [{ methods: ["POST"], paths: paths.sort() }] });
  return [...edges, ...sandboxes.map((callee) => ({ caller: name, callee, operations: [] }))];
}

const pathOf = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`;

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));
