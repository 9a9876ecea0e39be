import type { IncomingHttpHeaders } from "node:http";
import { valueAt } from "./header-fields.ts";

// Hop-by-hop, about the body's transport form, or spoken by the edge itself on the next hop (X5).
const denied = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
  "host",
  "expect",
  "accept-encoding",
]);
// x-forwarded-* and forwarded: a caller's word on who it is; the edge writes its own.
const deniedPrefixes = [":", "content-", "grpc-", "connect-", "x-forwarded-"];

const keyAlphabet = /^[0-9a-z_.-]+$/;
const valueAlphabet = /^[\x20-\x7e]*$/;
// Repeated binary entries arrive joined by commas.
const base64 = /^[A-Za-z0-9+/=, ]*$/;

/** Decides which request headers a backend gets to see. */
export type HeaderFilter = (name: string) => boolean;

/** Compiles the deny list with the gateway's additions; answers are remembered for as many names as servers ever see. */
export function createHeaderFilter(extra: readonly string[]): HeaderFilter {
  const exact = new Set(extra.filter((name) => !name.endsWith("*")));
  const prefixes = extra.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  const decided = new Map<string, boolean>();
  const decide = (name: string): boolean =>
    keyAlphabet.test(name) &&
    !denied.has(name) &&
    name !== "forwarded" &&
    !exact.has(name) &&
    ![...deniedPrefixes, ...prefixes].some((prefix) => name.startsWith(prefix));
  return (name) => {
    let passes = decided.get(name);
    if (passes === undefined) {
      passes = decide(name);
      if (decided.size < 500) decided.set(name, passes);
    }
    return passes;
  };
}

/** Request headers as metadata, names and values in turn; `own` fields come last and replace what the caller sent. */
export function metadataFrom(
  headers: IncomingHttpHeaders,
  passes: HeaderFilter,
  own: readonly string[],
): string[] {
  const metadata: string[] = [];
  const named = connectionNamed(headers.connection);
  for (const name in headers) {
    if (!passes(name) || valueAt(own, name) !== -1 || named?.includes(name)) continue;
    const value = headers[name];
    if (typeof value === "string") append(metadata, name, value);
    else if (value !== undefined) for (const item of value) append(metadata, name, item);
  }
  for (const text of own) metadata.push(text);
  return metadata;
}

/** A name listed in Connection is hop-by-hop, whatever it is. */
function connectionNamed(connection: string | undefined): string[] | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  return connection
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
}

function append(metadata: string[], name: string, value: string): void {
  if (name.endsWith("-bin") ? base64.test(value) : valueAlphabet.test(value)) metadata.push(name, value);
}
