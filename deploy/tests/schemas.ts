// Schemas for kubeconform where its own cannot be downloaded: node deploy/tests/schemas.ts FOLDER FILE…, of files with custom resource
// definitions and, as JSON, Kubernetes' own description of its API (api/openapi-spec/swagger.json). Then
//   KUBE_SCHEMAS='FOLDER/{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' deploy/tests/lint.sh

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

type Schema = { [key: string]: unknown };

interface ResourceDefinition {
  readonly kind?: string;
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema?: { readonly openAPIV3Schema?: Schema };
    }[];
  };
}

const intOrText = { oneOf: [{ type: "string" }, { type: "integer" }] };
const quantity = { oneOf: [{ type: "string" }, { type: "number" }] };

const [folder = "", ...files] = process.argv.slice(2);
if (files.length === 0) throw new Error("usage: node deploy/tests/schemas.ts FOLDER FILE...");
mkdirSync(folder, { recursive: true });
for (const file of files) {
  const text = readFileSync(file, "utf8");
  if (file.endsWith(".json")) writeOwn(JSON.parse(text).definitions);
  else
    for (const document of parseAllDocuments(text)) writeCustom(document.toJS() as ResourceDefinition | null);
}

function write(group: string, kind: string, version: string, schema: unknown): void {
  // kubeconform takes what stands before the slash for the group, also where there is none.
  const name = `${group || version}_${kind.toLowerCase()}_${version}.json`;
  writeFileSync(join(folder, name), JSON.stringify(schema));
}

function writeCustom(definition: ResourceDefinition | null): void {
  if (definition?.kind !== "CustomResourceDefinition") return;
  const { group, names, versions } = definition.spec;
  for (const { name, schema } of versions) {
    if (!schema?.openAPIV3Schema) continue;
    const strict = close(schema.openAPIV3Schema) as { properties: Schema };
    const everywhere = {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
    };
    write(group, names.kind, name, { ...strict, properties: { ...strict.properties, ...everywhere } });
  }
}

function writeOwn(definitions: Readonly<Record<string, Schema>>): void {
  for (const definition of Object.values(definitions)) {
    const kinds = definition["x-kubernetes-group-version-kind"] as
      | readonly { group: string; kind: string; version: string }[]
      | undefined;
    // Kinds of many groups are options of requests, and not objects.
    if (kinds?.length !== 1 || !("properties" in definition)) continue;
    for (const { group, kind, version } of kinds) write(group, kind, version, close(definition, definitions));
  }
}

/** A schema with what it refers to put in its place, and no room for what it does not name. */
function close(
  schema: unknown,
  definitions: Readonly<Record<string, Schema>> = {},
  around: readonly string[] = [],
): unknown {
  if (Array.isArray(schema)) return schema.map((one) => close(one, definitions, around));
  if (typeof schema !== "object" || schema === null) return schema;
  const { $ref } = schema as Schema;
  if (typeof $ref === "string") {
    const name = $ref.slice($ref.lastIndexOf("/") + 1);
    if (name.endsWith("IntOrString")) return intOrText;
    if (name.endsWith("Quantity")) return quantity;
    return around.includes(name) ? {} : close(definitions[name], definitions, [...around, name]);
  }
  if ("x-kubernetes-int-or-string" in schema) return intOrText;
  const closed = Object.entries(schema)
    .filter(([key, value]) => !(["format", "description"].includes(key) && typeof value === "string"))
    .map(([key, value]) => [key, close(value, definitions, around)] as const);
  const open = "x-kubernetes-preserve-unknown-fields" in schema || "additionalProperties" in schema;
  const isObject = typeof (schema as Schema).properties === "object";
  return { ...Object.fromEntries(closed), ...(isObject && !open ? { additionalProperties: false } : {}) };
}
