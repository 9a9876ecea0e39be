import type { JsonObject } from "@bufbuild/protobuf";

/** A JSON Schema (2020-12). */
export type JsonSchema = JsonObject;
