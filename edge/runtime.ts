import type { IncomingHttpHeaders } from "node:http";
import type { Exchange } from "./exchange.ts";
import { valueAt } from "./header-fields.ts";
import type { JsonReading } from "./json/json-settle.ts";
import { type HeaderFilter, metadataFrom } from "./metadata.ts";
import type { EdgeLimits, EdgeOptions } from "./options.ts";
import type { RouteTable } from "./routing/route-table.ts";

/** What every request handler of one edge shares. */
export interface Runtime {
  readonly options: EdgeOptions;
  readonly limits: EdgeLimits;
  readonly table: RouteTable;
  readonly reading: JsonReading;
  readonly headerFilter: HeaderFilter;
  readonly state: { draining: boolean };
}

const hostAlphabet = /^[A-Za-z0-9.:_[\]-]+$/;

/** Metadata for the backend: the caller's headers that pass, the gateway's own entries, and who called under which name (X8). */
export function backendMetadata(runtime: Runtime, exchange: Exchange): string[] {
  const { authority, metadata: own, remoteAddress } = exchange;
  const metadata = metadataFrom(exchange.headers, runtime.headerFilter, own);
  if (valueAt(own, "x-forwarded-for") === -1) metadata.push("x-forwarded-for", remoteAddress);
  if (valueAt(own, "x-forwarded-host") === -1 && hostAlphabet.test(authority)) {
    metadata.push("x-forwarded-host", authority);
  }
  return metadata;
}

/** The backend metadata that becomes answer headers on REST (X6). */
export function answerHeadersFrom(runtime: Runtime, headers: IncomingHttpHeaders): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const name of runtime.options.responseHeaders ?? []) {
    const value = headers[name];
    if (value !== undefined) chosen[name] = typeof value === "string" ? value : value.join(", ");
  }
  return chosen;
}
