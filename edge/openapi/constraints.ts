import { type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { type FieldRules, field as rulesOption } from "#gen/buf/validate/validate_pb.ts";
import type { JsonSchema } from "./json-schema.ts";

/** Keywords for a field itself and, where it is a list, for each of its items. */
export interface Constraints {
  readonly own: JsonSchema;
  readonly items: JsonSchema;
}

/** What a field's protovalidate rules mean in JSON Schema; rules that have no keyword there are left out. */
export function constraintsOf(field: DescField): Constraints {
  const rules = rulesOf(field);
  if (!rules) return { own: {}, items: {} };
  if (rules.type.case !== "repeated") return { own: keywordsOf(rules), items: {} };
  const { minItems, maxItems, unique, items } = rules.type.value;
  const own = {
    ...(minItems > 0n && { minItems: Number(minItems) }),
    ...(maxItems > 0n && { maxItems: Number(maxItems) }),
    ...(unique && { uniqueItems: true }),
  };
  return { own, items: items ? keywordsOf(items) : {} };
}

/** Whether a request without the field is refused. */
export function isRequired(field: DescField): boolean {
  return rulesOf(field)?.required ?? false;
}

const rulesOf = (field: DescField): FieldRules | undefined =>
  hasOption(field, rulesOption) ? getOption(field, rulesOption) : undefined;

function keywordsOf({ type }: FieldRules): JsonSchema {
  switch (type.case) {
    case "int32":
      return boundsOf(type.value);
    case "string": {
      const { minLen, maxLen, pattern } = type.value;
      return {
        ...(minLen > 0n && { minLength: Number(minLen) }),
        ...(maxLen > 0n && { maxLength: Number(maxLen) }),
        ...(pattern !== "" && { pattern }),
      };
    }
    default:
      // 64-bit integers and bytes are texts in JSON, where their bounds mean nothing.
      return {};
  }
}

interface Bounds {
  readonly lessThan: { readonly case: string | undefined; readonly value?: number | undefined };
  readonly greaterThan: { readonly case: string | undefined; readonly value?: number | undefined };
}

function boundsOf({ lessThan, greaterThan }: Bounds): JsonSchema {
  const bounds: Record<string, number> = {};
  if (lessThan.value !== undefined)
    bounds[lessThan.case === "lt" ? "exclusiveMaximum" : "maximum"] = lessThan.value;
  if (greaterThan.value !== undefined)
    bounds[greaterThan.case === "gt" ? "exclusiveMinimum" : "minimum"] = greaterThan.value;
  return bounds;
}
