import type { AnyDesc, DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { constraintsOf, isRequired } from "./constraints.ts";
import type { JsonSchema } from "./json-schema.ts";
import { scalarSchema, wellKnownSchema } from "./value-schema.ts";

/** What a contract says of something in words; undefined where it says nothing. */
export type CommentOf = (desc: AnyDesc) => string | undefined;

/** The schemas of messages as ProtoJSON writes them, each made once and named by its full name. */
export interface Schemas {
  /** Refers to a message's schema. */
  message(desc: DescMessage): JsonSchema;
  /** The schema of one field with its comment and its rules. */
  field(field: DescField): JsonSchema;
  /** A message without some of its fields, in place. */
  messageWithout(desc: DescMessage, left: ReadonlySet<string>): JsonSchema;
  /** Everything referred to so far, by name. */
  components(): Record<string, JsonSchema>;
}

/** What schemas are made with. */
export interface SchemaOptions {
  readonly commentOf: CommentOf;
  /** What references begin with: `#/components/schemas/`. */
  readonly refPrefix: string;
}

/** Collects schemas. Types are described as they are met, so that recursive ones end. */
export function createSchemas(options: SchemaOptions): Schemas {
  const made = new Map<string, JsonSchema>();
  const refTo = (desc: DescMessage | DescEnum, make: () => JsonSchema): JsonSchema => {
    if (!made.has(desc.typeName)) {
      made.set(desc.typeName, {});
      made.set(desc.typeName, make());
    }
    return { $ref: options.refPrefix + desc.typeName };
  };
  const schemas: Schemas = {
    message: (desc) => wellKnownSchema(desc) ?? refTo(desc, () => messageSchema(desc, schemas, options)),
    field: (field) =>
      fieldSchema(field, schemas, options, (desc) => refTo(desc, () => enumSchema(desc, options))),
    messageWithout: (desc, left) => messageSchema(desc, schemas, options, left),
    components: () => Object.fromEntries([...made].sort(([one], [other]) => (one < other ? -1 : 1))),
  };
  return schemas;
}

function messageSchema(
  desc: DescMessage,
  schemas: Schemas,
  { commentOf }: SchemaOptions,
  left: ReadonlySet<string> = new Set(),
): JsonSchema {
  const fields = desc.fields.filter((field) => !left.has(field.name));
  const required = fields.filter(isRequired).map((field) => field.jsonName);
  const properties = fields.map((field) => [field.jsonName, schemas.field(field)] as const);
  return {
    title: desc.name,
    ...describe(withOneofs(commentOf(desc), desc)),
    type: "object",
    ...(properties.length > 0 && { properties: Object.fromEntries(properties) }),
    ...(required.length > 0 && { required }),
  };
}

/** A schema that said so by `oneOf` would have to repeat every other field in each branch. */
function withOneofs(comment: string | undefined, desc: DescMessage): string | undefined {
  const sentences = desc.oneofs.map(
    ({ fields }) => `At most one of ${fields.map(({ jsonName }) => `\`${jsonName}\``).join(", ")} is set.`,
  );
  return [comment, ...sentences].filter(Boolean).join(" ") || undefined;
}

function enumSchema(desc: DescEnum, { commentOf }: SchemaOptions): JsonSchema {
  const lines = desc.values.map((value) => `- \`${value.name}\`: ${commentOf(value) ?? ""}`.trim());
  return {
    title: desc.name,
    description: [commentOf(desc), lines.join("\n")].filter(Boolean).join("\n\n"),
    type: "string",
    enum: desc.values.map(({ name }) => name),
  };
}

function fieldSchema(
  field: DescField,
  schemas: Schemas,
  { commentOf }: SchemaOptions,
  enumRef: (desc: DescEnum) => JsonSchema,
): JsonSchema {
  const said = describe(commentOf(field));
  const rules = constraintsOf(field);
  const schemaOf = ({
    message,
    enum: enumeration,
    scalar,
  }: Pick<DescField, "message" | "enum" | "scalar">) => {
    if (message) return schemas.message(message);
    return enumeration ? enumRef(enumeration) : scalarSchema(scalar);
  };
  switch (field.fieldKind) {
    case "list":
      return { type: "array", items: { ...schemaOf(field), ...rules.items }, ...rules.own, ...said };
    case "map":
      return { type: "object", additionalProperties: schemaOf(field), ...rules.own, ...said };
    default:
      return { ...schemaOf(field), ...rules.own, ...said };
  }
}

const describe = (description: string | undefined) => (description === undefined ? {} : { description });
