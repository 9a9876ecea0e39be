import { globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** The kit's folders, lowest layer first, each with the files others may import beside the one of its own name. */
const layers: readonly Readonly<Record<string, readonly string[]>>[] = [
  {
    errors: [],
    time: [],
    ids: [],
    wire: [
      "grpc-frame",
      "grpc-status",
      "http2/connection-pool",
      "http2/frames",
      "http2/header-list",
      "http2/peer-address",
      "http2/stream",
    ],
  },
  { config: [], telemetry: [] },
  {
    rpc: ["call", "client", "server"],
    postgres: ["migrate"],
    nats: ["event-names"],
    auth: [],
    cache: [],
    failpoints: ["planted"],
    http: [],
    paging: [],
  },
  {
    outbox: ["relay", "republish", "too-early"],
    inbox: ["consume", "dead-letters", "group", "park", "replay"],
    idempotency: ["forget"],
  },
  { saga: ["definition", "forget", "operations", "watch"], reconciliation: ["definition"] },
  { service: ["calls", "handlers"] },
  { testing: ["announced", "foreign-events", "reconciling"] },
];

/** A source file and the files of this repository it imports, all relative to the root. */
interface Source {
  readonly path: string;
  /** Repository paths, or the bare specifier of what lies outside. */
  readonly imports: readonly string[];
}

type Rule = (source: Source, imported: string, sources: ReadonlyMap<string, Source>) => string | undefined;

const root = fileURLToPath(new URL("..", import.meta.url));
const fixture = fileURLToPath(new URL("layers-fixture", import.meta.url));

/** Sources below a folder. Those of the fixture end in `.ts.txt`, so that no tool takes them for code. */
function readSources(folder: string, ending: ".ts" | ".ts.txt"): Map<string, Source> {
  const paths = globSync(`{kit,edge,services}/**/*${ending}`, { cwd: folder });
  return new Map(
    paths.map((found) => {
      const path = found.slice(0, found.length - ending.length).concat(".ts");
      return [path, { path, imports: importsOf(path, readFileSync(join(folder, found), "utf8")) }];
    }),
  );
}

function importsOf(path: string, text: string): string[] {
  const code = text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, "");
  const specifiers = code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return Array.from(specifiers, ([, specifier = ""]) => {
    if (specifier.startsWith("#")) return specifier.slice(1);
    return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier;
  });
}

const partsOf = (path: string) => path.split("/");
const isTest = (path: string) => path.endsWith(".test.ts") || path.includes("/tests/");
const layerOf = (folder: string) => layers.findIndex((layer) => folder in layer);
const publicFilesOf = (folder: string) => [folder, ...(layers[layerOf(folder)]?.[folder] ?? [])];

const arrowsPointDown: Rule = ({ path }, imported) => {
  const [top, folder = ""] = partsOf(path);
  const [importedTop, importedFolder = ""] = partsOf(imported);
  if (top !== "kit" || importedTop !== "kit" || isTest(path) || folder === importedFolder) return undefined;
  if (layerOf(importedFolder) < layerOf(folder)) return undefined;
  return layerOf(importedFolder) === layerOf(folder) ? "a sibling" : "a layer above";
};

const folderInsidesStayInside: Rule = ({ path }, imported) => {
  const [importedTop, folder = "", ...rest] = partsOf(imported);
  if (importedTop !== "kit" || isTest(path) || path.startsWith(`kit/${folder}/`)) return undefined;
  const isPublic = publicFilesOf(folder).some((file) => rest.join("/") === `${file}.ts`);
  return isPublic ? undefined : "private to its folder";
};

const servicesStandAlone: Rule = ({ path }, imported) => {
  const [top, service] = partsOf(path);
  const [importedTop, importedService] = partsOf(imported);
  const isOther = top === "services" && importedTop === "services" && service !== importedService;
  return isOther ? "another service" : undefined;
};

const outsiders: Readonly<Record<string, readonly string[]>> = {
  kit: ["services", "edge", "sandboxes", "tools", "journeys", "bench", "chaos"],
  services: ["sandboxes", "tools", "journeys", "bench", "chaos"],
  edge: ["services", "sandboxes", "tools", "journeys", "bench", "chaos"],
};

const nothingComesFromOutside: Rule = ({ path }, imported) => {
  const [top = ""] = partsOf(path);
  const [importedTop = ""] = partsOf(imported);
  return !isTest(path) && outsiders[top]?.includes(importedTop) ? `nothing for ${top}/` : undefined;
};

const onlyTheGatewayHasAnEdge: Rule = ({ path }, imported) =>
  path.startsWith("services/") && !path.startsWith("services/gateway/") && imported.startsWith("edge/")
    ? "only for the gateway"
    : undefined;

/** What gRPC is on the wire is the same for the edge and the kit. */
const edgeKnowsNoShop: Rule = ({ path }, imported) =>
  path.startsWith("edge/") && /^(gen\/souk|kit\/(?!wire\/))/.test(imported)
    ? "not known to the edge"
    : undefined;

/** Domain files have a store beside them: `order.ts` beside `order-store.ts`. What they import is as pure as they are. */
const domainIsPure: Rule = ({ path }, imported, sources) => {
  const isDomain =
    /^services\/[^/]+\/[^/]+\.ts$/.test(path) && sources.has(path.replace(/\.ts$/, "-store.ts"));
  return isDomain && !isPure(imported, sources, new Set()) ? "not for a domain file" : undefined;
};

function isPure(imported: string, sources: ReadonlyMap<string, Source>, seen: Set<string>): boolean {
  if (seen.has(imported) || /^(kit\/(errors|time)|gen\/souk\/\w+\/v\d+\/errors_pb\.ts)/.test(imported))
    return true;
  seen.add(imported);
  return sources.get(imported)?.imports.every((next) => isPure(next, sources, seen)) ?? false;
}

const rules: readonly Rule[] = [
  arrowsPointDown,
  folderInsidesStayInside,
  servicesStandAlone,
  nothingComesFromOutside,
  onlyTheGatewayHasAnEdge,
  edgeKnowsNoShop,
  domainIsPure,
];

function violations(sources: ReadonlyMap<string, Source>): string[] {
  const all = Array.from(sources.values());
  const homeless = all.filter(
    ({ path }) => /^kit\/[^/]+\//.test(path) && layerOf(partsOf(path)[1] ?? "") < 0,
  );
  const imports = all.flatMap((source) =>
    source.imports.flatMap((imported) =>
      rules.flatMap((rule) => {
        const fault = rule(source, imported, sources);
        return fault === undefined ? [] : [`${source.path} → ${imported}: ${fault}`];
      }),
    ),
  );
  return [...homeless.map(({ path }) => `${path}: its folder has no layer`), ...imports].sort();
}

it("every import of this repository follows the layers", () => {
  const sources = readSources(root, ".ts");
  expect(sources.size).toBeGreaterThan(100);
  expect(violations(sources)).toEqual([]);
});

it("the table and kit/README.md name the same folders, layer by layer", () => {
  const rows = readFileSync(join(root, "kit/README.md"), "utf8").matchAll(/^\| (\d) \| `(\w+)\/` \|/gm);
  const documented = Array.from(rows, ([, layer, folder]) => `${layer} ${folder}`);
  expect(documented).toEqual(
    layers.flatMap((layer, index) => Object.keys(layer).map((folder) => `${index} ${folder}`)),
  );
});

it("each way to break the layers is caught, and nothing else", () => {
  expect(violations(readSources(fixture, ".ts.txt"))).toEqual([
    "edge/route.ts → gen/souk/orders/v1/orders_pb.ts: not known to the edge",
    "edge/route.ts → kit/errors/errors.ts: not known to the edge",
    "kit/errors/errors.ts → kit/rpc/call.ts: a layer above",
    "kit/postgres/postgres.ts → edge/grpc-code.ts: nothing for kit/",
    "kit/postgres/postgres.ts → services/orders/order.ts: nothing for kit/",
    "kit/rpc/rpc.ts → kit/errors/status-details.ts: private to its folder",
    "kit/rpc/rpc.ts → kit/outbox/outbox.ts: a layer above",
    "kit/rpc/rpc.ts → kit/postgres/postgres.ts: a sibling",
    "kit/time/time.ts → kit/ids/ids.ts: a sibling",
    "kit/unlisted/unlisted.ts: its folder has no layer",
    "services/carts/rpc.ts → edge/matcher.ts: only for the gateway",
    "services/carts/rpc.ts → sandboxes/ledger.ts: nothing for services/",
    "services/carts/rpc.ts → services/orders/order.ts: another service",
    "services/orders/order.ts → gen/souk/orders/v1/orders_pb.ts: not for a domain file",
    "services/orders/order.ts → kit/postgres/postgres.ts: not for a domain file",
    "services/orders/order.ts → node:timers/promises: not for a domain file",
    "services/orders/order.ts → services/orders/order-store.ts: not for a domain file",
    "services/orders/order.ts → services/orders/price.ts: not for a domain file",
  ]);
});
