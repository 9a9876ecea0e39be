import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isGroup, Kind, kindOfValue, wireTypeOf } from "./kind.ts";
import { indexNames, type NameIndex } from "./name-index.ts";

/** A value as a request gives it. */
export interface RequestValue {
  readonly kind: Kind;
  /** Of a message or wrapper; undefined where its type is left to protobuf-es. */
  table: RequestTable | undefined;
  /** An enum's values by name. */
  readonly names: NameIndex<number> | undefined;
  /** The only numbers an enum has; undefined where it takes any. */
  readonly numbers: ReadonlySet<number> | undefined;
}

/** A field with where it goes. */
export interface RequestField {
  readonly tag: number;
  /** Elements of a list share one length-delimited record. */
  readonly packed: boolean;
  readonly list: boolean;
  /** Of a map, its values. */
  readonly value: RequestValue;
  readonly key: RequestValue | undefined;
  /** Zero is left out, as it says nothing without presence. */
  readonly hidesZero: boolean;
  /** Its bit in the set of fields given so far, which takes two numbers. */
  readonly bits: readonly [low: number, high: number];
  /** The bits, of its own and of its oneof, of which none may be set before. */
  readonly excludes: readonly [low: number, high: number];
}

/** A message type, its fields by name. */
export interface RequestTable {
  names: NameIndex<RequestField> | undefined;
  /** Of a wrapper, its one field. */
  only: RequestField | undefined;
}

const legacyRequired = 3;
const implicit = 2;
const bitsPerNumber = 31;
const maxFields = 2 * bitsPerNumber;

/** Compiles message types for requests, each once; a table without names is left to protobuf-es. */
export function createRequestTables(): (desc: DescMessage) => RequestTable {
  const tables = new Map<DescMessage, RequestTable>();
  const tableOf = (desc: DescMessage): RequestTable => {
    const known = tables.get(desc);
    if (known !== undefined) return known;
    const table: RequestTable = { names: undefined, only: undefined };
    // Before its fields: a type may hold itself.
    tables.set(desc, table);
    if (!isSupported(desc)) return table;
    const named = new Map<string, RequestField>();
    for (const [at, field] of desc.fields.entries()) {
      const compiled = requestFieldOf(field, at, tableOf);
      named.set(field.name, compiled).set(field.jsonName, compiled);
      table.only = compiled;
    }
    table.names = indexNames(named);
    return table;
  };
  return tableOf;
}

function isSupported(desc: DescMessage): boolean {
  return (
    desc.fields.length <= maxFields &&
    desc.fields.every((field) => field.presence !== legacyRequired && !isGroup(field))
  );
}

/** Compiles one field, whose place among the others is `at`. */
export function requestFieldOf(
  field: DescField,
  at: number,
  tableOf: (desc: DescMessage) => RequestTable,
): RequestField {
  const isMap = field.fieldKind === "map";
  const value = valueFrom(field, tableOf);
  const list = field.fieldKind === "list";
  const packed = list && field.packed;
  const wireType = isMap || packed ? 2 : wireTypeOf(value.kind);
  return {
    tag: ((field.number << 3) | wireType) >>> 0,
    packed,
    list,
    value,
    key: isMap ? { kind: field.mapKey, table: undefined, names: undefined, numbers: undefined } : undefined,
    hidesZero: !list && !isMap && field.presence === implicit,
    bits: bitsOf([at]),
    excludes: bitsOf(placesOfOneof(field, at)),
  };
}

function placesOfOneof({ oneof, parent }: DescField, at: number): number[] {
  return oneof === undefined ? [at] : oneof.fields.map((field) => parent.fields.indexOf(field));
}

function bitsOf(places: readonly number[]): [number, number] {
  const bits: [number, number] = [0, 0];
  for (const at of places) {
    if (at < bitsPerNumber) bits[0] |= 1 << at;
    else bits[1] |= 1 << (at - bitsPerNumber);
  }
  return bits;
}

function valueFrom(field: DescField, tableOf: (desc: DescMessage) => RequestTable): RequestValue {
  const kind = kindOfValue(field);
  const { message, enum: type } = field;
  const names = new Map<string, number>();
  for (const { name, jsonName, number } of type?.values ?? [])
    names.set(name, number).set(jsonName ?? name, number);
  return {
    kind,
    table:
      message !== undefined && (kind === Kind.MESSAGE || kind === Kind.WRAPPER)
        ? tableOf(message)
        : undefined,
    names: type === undefined ? undefined : indexNames(names),
    numbers: type?.open === false ? new Set(type.values.map(({ number }) => number)) : undefined,
  };
}
