// Writes docs/openapi.json and docs/asyncapi.json: what the gateway serves and what services announce, from the compiled contract. Run
// by `npm run gen`; tests compare.

import { writeFileSync } from "node:fs";
import type { JsonObject } from "@bufbuild/protobuf";
import { compileRoutes, describeApi } from "../services/gateway/api-document.ts";
import { describeEvents } from "../services/gateway/event-document.ts";

/** The documents by their path from the root of the repository. */
export function apiPages(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/openapi.json", textOf(describeApi(compileRoutes()))],
    ["docs/asyncapi.json", textOf(describeEvents())],
  ]);
}

const textOf = (document: JsonObject) => `${JSON.stringify(document, null, 2)}\n`;

if (import.meta.main)
  for (const [path, text] of apiPages()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
