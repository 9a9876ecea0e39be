import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";

/** A message as protobuf-es holds it: plain properties by local name. */
export type Fields = Record<string, unknown>;

/** A field reached from a message through singular messages. */
export interface FieldPath {
  /** The messages stepped through, outermost first. */
  readonly parents: readonly (DescField & { fieldKind: "message" })[];
  readonly leaf: DescField;
  /** The path in JSON spelling, as problem documents name it. */
  readonly jsonPath: string;
  /** The path in proto spelling: its identity. */
  readonly protoPath: string;
  /** The oneofs the path takes part in, each with the member it chooses. */
  readonly oneofs: readonly { readonly key: string; readonly member: string }[];
}

const scalarJsonTypes = new Set([
  "google.protobuf.Timestamp",
  "google.protobuf.Duration",
  "google.protobuf.FieldMask",
  "google.protobuf.DoubleValue",
  "google.protobuf.FloatValue",
  "google.protobuf.Int64Value",
  "google.protobuf.UInt64Value",
  "google.protobuf.Int32Value",
  "google.protobuf.UInt32Value",
  "google.protobuf.BoolValue",
  "google.protobuf.StringValue",
  "google.protobuf.BytesValue",
]);

/** Whether a message is a well-known type that JSON writes as one string, number or boolean. */
export function hasScalarJson(message: DescMessage): boolean {
  return scalarJsonTypes.has(message.typeName);
}

/** Whether a message is a well-known type with a JSON form of its own, which no path steps into. */
export function isWellKnown(message: DescMessage): boolean {
  return hasScalarJson(message) || wellKnown.has(message.typeName);
}

const wellKnown = new Set([
  "google.protobuf.Any",
  "google.protobuf.Struct",
  "google.protobuf.Value",
  "google.protobuf.ListValue",
]);

/** Why a name path leads nowhere; `unknown` means no such field. */
export type FieldPathFault = "unknown" | "not-steppable";

/** Follows names through singular messages; `bothSpellings` admits JSON names beside proto names (Q2). */
export function resolveFieldPath(
  message: DescMessage,
  names: readonly string[],
  bothSpellings: boolean,
): FieldPath | FieldPathFault {
  const parents: (DescField & { fieldKind: "message" })[] = [];
  const walked: DescField[] = [];
  let within: DescMessage | undefined = message;
  for (const name of names) {
    if (within === undefined) return "not-steppable";
    const field: DescField | undefined = fieldNamed(within, name, bothSpellings);
    if (field === undefined) return "unknown";
    const above = walked.at(-1);
    if (above !== undefined) parents.push(above as DescField & { fieldKind: "message" });
    walked.push(field);
    within = field.fieldKind === "message" && !isWellKnown(field.message) ? field.message : undefined;
  }
  const leaf = walked.at(-1);
  return leaf === undefined ? "unknown" : describePath(parents, leaf, walked);
}

function describePath(
  parents: FieldPath["parents"],
  leaf: DescField,
  walked: readonly DescField[],
): FieldPath {
  return {
    parents,
    leaf,
    jsonPath: walked.map((field) => field.jsonName).join("."),
    protoPath: walked.map((field) => field.name).join("."),
    oneofs: walked.flatMap((field, at) =>
      field.oneof === undefined ? [] : [{ key: oneofKey(walked, at, field.oneof), member: field.name }],
    ),
  };
}

function oneofKey(walked: readonly DescField[], at: number, oneof: DescOneof): string {
  return [...walked.slice(0, at).map((field) => field.name), oneof.name].join(".");
}

const fieldsByName = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** Finds a field by its proto name, or by its JSON name where both spellings count. */
export function fieldNamed(
  message: DescMessage,
  name: string,
  bothSpellings: boolean,
): DescField | undefined {
  let fields = fieldsByName.get(message);
  if (fields === undefined) {
    // Proto names last: where one is another field's JSON name, it is the one that counts.
    const jsonNames = message.fields.map((field) => [field.jsonName, field] as const);
    fields = new Map([...jsonNames, ...message.fields.map((field) => [field.name, field] as const)]);
    fieldsByName.set(message, fields);
  }
  const field = fields.get(name);
  return bothSpellings || field?.name === name ? field : undefined;
}

/** The message that holds the leaf, made along the way where it is missing. */
export function holderOf(message: Fields, parents: FieldPath["parents"]): Fields {
  let holder = message;
  for (const field of parents) holder = stepInto(holder, field);
  return holder;
}

function stepInto(holder: Fields, field: DescField & { fieldKind: "message" }): Fields {
  const present = valueIn(holder, field);
  if (present !== undefined) return present as Fields;
  const made = create(field.message) as unknown as Fields;
  putIn(holder, field, made);
  return made;
}

/** The value of a singular field; undefined when it is unset. */
export function valueIn(holder: Fields, field: DescField): unknown {
  if (field.oneof === undefined) return holder[field.localName];
  const chosen = holder[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

/** Sets a singular scalar, enum or plain message; a oneof then holds just this member. */
export function putIn(holder: Fields, field: DescField, value: unknown): void {
  if (field.oneof === undefined) holder[field.localName] = value;
  else holder[field.oneof.localName] = { case: field.localName, value };
}

/** Sets a well-known type; protobuf-es holds singular wrappers outside oneofs unwrapped. */
export function putWellKnown(
  holder: Fields,
  field: DescField & { fieldKind: "message" },
  value: Fields,
): void {
  const unwrap = field.oneof === undefined && /Value$/.test(field.message.typeName);
  putIn(holder, field, unwrap ? value.value : value);
}
