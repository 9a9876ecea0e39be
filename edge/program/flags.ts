import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { defaultLimits } from "../limits.ts";
import type { EdgeLimits } from "../options.ts";

/** A backend as it was typed. */
export interface BackendFlag {
  /** Package or service whose calls go there; empty for all that no other takes. */
  readonly prefix: string;
  /** `http://host:port` or `https://host:port`. */
  readonly address: string;
}

/** A host and a port to listen on. */
export interface ListenFlag {
  readonly host: string;
  readonly port: number;
}

/** Files with a certificate, its key and the authorities it is checked against. */
export interface TlsFlags {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
}

/** What `npm run edge` was asked for. */
export interface EdgeFlags {
  readonly help: boolean;
  readonly descriptors: readonly string[];
  readonly backends: readonly BackendFlag[];
  readonly services: readonly string[];
  readonly listen: ListenFlag;
  readonly operations: ListenFlag | undefined;
  readonly tls: TlsFlags;
  readonly backendTls: TlsFlags & { readonly serverName: string | undefined };
  readonly unknownMembers: "drop" | "reject";
  readonly emitDefaults: boolean;
  readonly corsOrigins: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly accessLog: boolean;
  readonly limits: Partial<EdgeLimits>;
}

/** Command line that cannot be followed; its message is for whoever typed it. */
export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FlagError";
  }
}

const options = {
  help: { type: "boolean", short: "h" },
  descriptors: { type: "string", multiple: true },
  backend: { type: "string", multiple: true },
  service: { type: "string", multiple: true },
  listen: { type: "string" },
  operations: { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "tls-client-ca": { type: "string" },
  "backend-ca": { type: "string" },
  "backend-cert": { type: "string" },
  "backend-key": { type: "string" },
  "backend-server-name": { type: "string" },
  "unknown-members": { type: "string" },
  "omit-defaults": { type: "boolean" },
  "cors-origin": { type: "string", multiple: true },
  "response-header": { type: "string", multiple: true },
  "access-log": { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

const limitNames = Object.keys(defaultLimits) as (keyof EdgeLimits)[];

/** Reads the command line; throws {@link FlagError}. */
export function readFlags(args: readonly string[]): EdgeFlags {
  const values = parse(args);
  const backends = (values.backend ?? []).map(readBackend);
  const twice = backends.find((one, at) => backends.findIndex(({ prefix }) => prefix === one.prefix) !== at);
  if (twice !== undefined)
    throw new FlagError(
      `--backend: ${twice.prefix === "" ? "a backend for everything" : `'${twice.prefix}'`} is given twice`,
    );
  if (backends.length === 0 && values.help !== true) throw new FlagError("--backend HOST:PORT is missing");
  const { "unknown-members": unknownMembers = "drop" } = values;
  if (unknownMembers !== "drop" && unknownMembers !== "reject")
    throw new FlagError(`--unknown-members is 'drop' or 'reject', not '${unknownMembers}'`);
  return {
    help: values.help ?? false,
    descriptors: values.descriptors ?? [],
    backends,
    services: values.service ?? [],
    listen: readListen("--listen", values.listen ?? "127.0.0.1:8080"),
    operations: values.operations === undefined ? undefined : readListen("--operations", values.operations),
    tls: readTls("--tls", values["tls-cert"], values["tls-key"], values["tls-client-ca"]),
    backendTls: {
      ...readTls("--backend", values["backend-cert"], values["backend-key"], values["backend-ca"]),
      serverName: values["backend-server-name"],
    },
    unknownMembers,
    emitDefaults: values["omit-defaults"] !== true,
    corsOrigins: values["cors-origin"] ?? [],
    responseHeaders: (values["response-header"] ?? []).map((name) => name.toLowerCase()),
    accessLog: values["access-log"] ?? false,
    limits: readLimits(values),
  };
}

function parse(args: readonly string[]) {
  const limits: Record<string, { type: "string" }> = {};
  for (const name of limitNames) limits[kebab(name)] = { type: "string" };
  try {
    const { values } = parseArgs({ args: [...args], options: { ...limits, ...options }, strict: true });
    return values as ReturnType<typeof parseArgs<{ options: typeof options }>>["values"] &
      Record<string, unknown>;
  } catch (error) {
    throw new FlagError((error as Error).message.replace(/\. To specify a positional argument.*$/s, ""));
  }
}

function readLimits(values: Readonly<Record<string, unknown>>): Partial<EdgeLimits> {
  const limits: Record<string, number> = {};
  for (const name of limitNames) {
    const text = values[kebab(name)];
    if (text !== undefined) limits[name] = readCount(`--${kebab(name)}`, String(text));
  }
  return limits;
}

/** Node's timers hold no longer time and its buffers no larger size. */
const maxCount = 2_147_483_647;

function readCount(flag: string, text: string): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > maxCount)
    throw new FlagError(`${flag} is a whole number from 1 to ${maxCount}, not '${text}'`);
  return count;
}

function readBackend(text: string): BackendFlag {
  const [, prefix = "", target = ""] = /^(?:([^=/]*)=)?(.*)$/s.exec(text) ?? [];
  if (!/^(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?$/.test(prefix))
    throw new FlagError(`--backend ${text}: '${prefix}' is not a package or service`);
  const [, scheme = "http", authority = ""] = /^(?:(https?|h2c|grpcs?):\/\/)?([^/]+)\/?$/.exec(target) ?? [];
  const secure = scheme === "https" || scheme === "grpcs";
  const url = URL.parse(`${secure ? "https" : "http"}://${authority}`);
  if (url === null || url.hostname === "" || url.username !== "" || !/^[^?#]+$/.test(authority))
    throw new FlagError(`--backend ${text}: expected [PREFIX=][http://|https://]HOST:PORT`);
  if (!secure && !/:\d+$/.test(authority)) throw new FlagError(`--backend ${text}: the port is missing`);
  return { prefix, address: url.origin };
}

function readListen(flag: string, text: string): ListenFlag {
  const [, host = "", port = ""] = /^(?:(\[[^\]]+\]|[^:]*):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw new FlagError(`${flag} is HOST:PORT with a port up to 65535 (0: any free one), not '${text}'`);
  return { host: host.replace(/^\[|\]$/g, "") || "0.0.0.0", port: Number(port) };
}

function readTls(flag: string, certFile?: string, keyFile?: string, caFile?: string): TlsFlags {
  if ((certFile === undefined) !== (keyFile === undefined))
    throw new FlagError(`${flag}-cert and ${flag}-key go together`);
  if (flag === "--tls" && caFile !== undefined && certFile === undefined)
    throw new FlagError("--tls-client-ca needs --tls-cert and --tls-key");
  return { certFile, keyFile, caFile };
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The text of `npm run edge -- --help`. */
export function helpText(): string {
  const limits = limitNames.map((name) => `  --${kebab(name)} N`.padEnd(36) + defaultLimits[name]);
  return `Serves REST/JSON, Connect, gRPC-Web and gRPC on one port in front of gRPC servers, from their descriptors.

  npm run -s edge -- --descriptors api.binpb --backend 127.0.0.1:9090 --listen 127.0.0.1:8080

What is served
  --descriptors FILE        a binary FileDescriptorSet with its imports, as 'buf build -o FILE' or
                            'protoc --include_imports -o FILE' writes it; repeatable. Without one the backends
                            are asked by server reflection (v1, v1alpha).
  --backend [PREFIX=]ADDR   where calls go: HOST:PORT (cleartext HTTP/2) or https://HOST:PORT; repeatable, with the
                            package or service whose calls it takes. The longest prefix wins.
  --service NAME            serves only this service, or this package's; repeatable
Where it listens
  --listen HOST:PORT        default 127.0.0.1:8080; port 0 takes a free one
  --tls-cert, --tls-key     PEM files; read again when they change. ALPN chooses HTTP/2 or HTTP/1.1.
  --tls-client-ca FILE      callers must show a certificate of these authorities
  --operations HOST:PORT    /metrics, /health/live and /health/ready
How it talks to TLS backends
  --backend-ca FILE         authorities to trust instead of the system's
  --backend-cert, --backend-key, --backend-server-name
How it answers
  --unknown-members WHAT    'drop' (default) or 'reject' members that the contract does not know
  --omit-defaults           leaves fields with default values out of JSON answers
  --response-header NAME    metadata of backends that becomes a header of REST answers; repeatable
  --cors-origin ORIGIN      a page's origin that may call; repeatable
  --access-log              a JSON line on standard error for each request
Limits, with their defaults
${limits.join("\n")}
`;
}
