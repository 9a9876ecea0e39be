import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { toWords, type Words } from "./json-out.ts";
import { isGroup, Kind, kindOfValue, wireTypeOf } from "./kind.ts";

/** A value as an answer holds it. */
export interface AnswerValue {
  readonly kind: Kind;
  readonly wireType: number;
  /** Of a message, a wrapper or a value that only protobuf-es handles. */
  readonly desc: DescMessage | undefined;
  /** Of a message or wrapper; set once the type is compiled. */
  table: AnswerTable | undefined;
  /** JSON of an enum's values by number. */
  readonly names: ReadonlyMap<number, Uint8Array> | undefined;
  /** A number outside `names` is no value at all. */
  readonly closed: boolean;
  readonly key: AnswerValue | undefined;
  readonly item: AnswerValue | undefined;
}

/** A field with what is written for it. */
export interface AnswerField {
  readonly number: number;
  readonly tag: number;
  readonly list: boolean;
  readonly value: AnswerValue;
  /** `,"name":` */
  readonly name: Words;
  /** `,"name":""` or the like: what is written where the field is not there, if anything is. */
  readonly absent: Words | undefined;
  /** JSON of the type's zero. */
  readonly zero: Uint8Array;
  /** Zero counts as unset and is left out; encoders do not send it. */
  readonly hidesZero: boolean;
  /** One bit for each oneof, 0 outside. */
  readonly oneof: number;
}

/** A message type, its fields by number. */
export interface AnswerTable {
  readonly desc: DescMessage;
  readonly fields: AnswerField[];
  readonly numbers: Set<number>;
}

/** Compiles message types, each once. */
export type AnswerTables = (desc: DescMessage) => AnswerTable;

const legacyRequired = 3;
const implicit = 2;
const maxOneofs = 30;

/** Makes a compiler of message types for answers with or without default values. */
export function createAnswerTables(emitDefaults: boolean): AnswerTables {
  const tables = new Map<DescMessage, AnswerTable>();
  const tableOf = (desc: DescMessage): AnswerTable => {
    const known = tables.get(desc);
    if (known !== undefined) return known;
    const table: AnswerTable = { desc, fields: [], numbers: new Set() };
    // Before its fields: a type may hold itself.
    tables.set(desc, table);
    for (const field of desc.fields.toSorted((one, other) => one.number - other.number)) {
      table.fields.push(fieldOf(field, desc, emitDefaults, tableOf));
      table.numbers.add(field.number);
    }
    return table;
  };
  return tableOf;
}

/** Whether answers of this type can be written without message objects. */
export function isAnswerSupported(desc: DescMessage): boolean {
  return (
    desc.oneofs.length <= maxOneofs &&
    desc.fields.every(
      (field) =>
        field.presence !== legacyRequired &&
        !isGroup(field) &&
        field.enum?.typeName !== "google.protobuf.NullValue",
    )
  );
}

function fieldOf(
  field: DescField,
  parent: DescMessage,
  emitDefaults: boolean,
  tableOf: AnswerTables,
): AnswerField {
  const value = describe(field, tableOf);
  const name = `,${JSON.stringify(field.jsonName)}:`;
  const list = field.fieldKind === "list";
  const packed = list && wireTypeOf(value.kind) !== 2;
  const absent = emitDefaults ? defaultOf(field) : undefined;
  return {
    number: field.number,
    tag: ((field.number << 3) | (packed ? 2 : value.wireType)) >>> 0,
    list,
    value,
    name: toWords(name),
    zero: Buffer.from(zeroOf(field)),
    absent: absent === undefined ? undefined : toWords(name + absent),
    hidesZero: !emitDefaults && field.presence === implicit && !list && field.fieldKind !== "map",
    oneof: field.oneof === undefined ? 0 : 1 << parent.oneofs.indexOf(field.oneof),
  };
}

function describe(field: DescField, tableOf: AnswerTables): AnswerValue {
  if (field.fieldKind !== "map") return itemOf(field, tableOf);
  const key = plainValue(field.mapKey);
  return { ...plainValue(Kind.MAP), key, item: itemOf(field, tableOf) };
}

function plainValue(kind: Kind): AnswerValue {
  return {
    kind,
    wireType: wireTypeOf(kind),
    desc: undefined,
    table: undefined,
    names: undefined,
    closed: false,
    key: undefined,
    item: undefined,
  };
}

function itemOf(field: DescField, tableOf: AnswerTables): AnswerValue {
  const kind = kindOfValue(field);
  const { message, enum: type } = field;
  const other = message !== undefined && kind === Kind.MESSAGE && !isAnswerSupported(message);
  const value = { ...plainValue(other ? Kind.OTHER : kind), desc: message };
  if (type !== undefined) {
    const names = type.values.map(({ number }) => number);
    const json = (number: number) => Buffer.from(JSON.stringify(type.value[number]?.jsonName ?? number));
    return { ...value, names: new Map(names.map((number) => [number, json(number)])), closed: !type.open };
  }
  if (message !== undefined && (value.kind === Kind.MESSAGE || value.kind === Kind.WRAPPER))
    value.table = tableOf(message);
  return value;
}

/** What protobuf-es' `alwaysEmitImplicit` writes. */
function defaultOf(field: DescField): string | undefined {
  if (field.fieldKind === "list") return "[]";
  if (field.fieldKind === "map") return "{}";
  return field.presence === implicit ? zeroOf(field) : undefined;
}

function zeroOf(field: DescField): string {
  // By its number, since several names may share it.
  if (field.enum !== undefined)
    return JSON.stringify(field.enum.value[field.enum.values[0]?.number ?? 0]?.jsonName);
  switch (field.scalar) {
    case Kind.STRING:
    case Kind.BYTES:
      return '""';
    case Kind.BOOL:
      return "false";
    case Kind.INT64:
    case Kind.UINT64:
    case Kind.SINT64:
    case Kind.FIXED64:
    case Kind.SFIXED64:
      return '"0"';
    default:
      return "0";
  }
}
