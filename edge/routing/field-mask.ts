import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";
import { fieldNamed, isWellKnown } from "./field-path.ts";

/** The one FieldMask of a request that a PATCH fills from its body; undefined when there is none or more than one (B11). */
export function derivableMask(input: DescMessage): (DescField & { fieldKind: "message" }) | undefined {
  const masks = input.fields.filter(
    (field): field is DescField & { fieldKind: "message" } =>
      field.fieldKind === "message" && field.message.typeName === "google.protobuf.FieldMask",
  );
  return masks.length === 1 ? masks[0] : undefined;
}

/** The paths of the members a JSON body mentions, sorted, in proto spelling; lists, maps and well-known types are leaves. */
export function mentionedPaths(desc: DescMessage, value: JsonValue): string[] {
  const paths: string[] = [];
  collect(desc, value, "", paths);
  return paths.sort();
}

function collect(desc: DescMessage, value: JsonValue, prefix: string, paths: string[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  for (const [key, member] of Object.entries(value)) {
    const field = fieldNamed(desc, key, true);
    if (field === undefined) continue;
    const path = prefix + field.name;
    if (descends(field, member)) collect(field.message, member, `${path}.`, paths);
    else paths.push(path);
  }
}

function descends(field: DescField, value: JsonValue): field is DescField & { fieldKind: "message" } {
  return (
    field.fieldKind === "message" &&
    !isWellKnown(field.message) &&
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length > 0
  );
}
