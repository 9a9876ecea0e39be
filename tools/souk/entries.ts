import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** An answer as a script reads it: the contract's JSON, with the service it comes from. */
export function toEntry(service: string, json: JsonValue): JsonObject {
  return { service, ...(json as JsonObject) };
}
