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

// Marks of direction stand in patterns that refuse them: escaped, they do not turn round what a reader sees.
const textOf = (document: JsonObject) =>
  `${JSON.stringify(document, null, 2).replace(marksOfDirection, escaped)}\n`;

const marksOfDirection = /[\u202a-\u202e\u2066-\u2069]/g;
const escaped = (mark: string) => `\\u${mark.charCodeAt(0).toString(16)}`;

if (import.meta.main)
  for (const [path, text] of apiPages()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
