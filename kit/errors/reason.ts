import { type DescEnum, getOption, hasOption } from "@bufbuild/protobuf";
import type { Code } from "#gen/google/rpc/code_pb.ts";
import { reason as reasonOption } from "#gen/souk/options/v1/options_pb.ts";

/** What the contract says about a reason. */
export interface Reason {
  readonly code: Code;
  /** Without the enum's prefix. */
  readonly reason: string;
  readonly domain: string;
}

// Reading an option decodes it each time; errors such as OUT_OF_STOCK are made often.
const known = new WeakMap<DescEnum, Map<number, Reason>>();

/** The declaration of one reason; throws a plain Error when the contract has none for the value. */
export function reasonOf(schema: DescEnum, value: number): Reason {
  const declared = declarationsOf(schema).get(value);
  if (declared === undefined) throw new Error(`${schema.typeName} declares no reason ${value}`);
  return declared;
}

function declarationsOf(schema: DescEnum): Map<number, Reason> {
  const present = known.get(schema);
  if (present !== undefined) return present;
  const read = readDeclarations(schema);
  known.set(schema, read);
  return read;
}

function readDeclarations(schema: DescEnum): Map<number, Reason> {
  const domain = domainOf(schema);
  const declared = schema.values.filter((value) => hasOption(value, reasonOption));
  return new Map(
    declared.map((value) => [
      value.number,
      { code: getOption(value, reasonOption).code, reason: value.localName, domain },
    ]),
  );
}

/** `souk.orders.v1` → `orders.souk`. */
function domainOf(schema: DescEnum): string {
  return schema.file.proto.package
    .replace(/\.v\d+\w*$/, "")
    .split(".")
    .reverse()
    .join(".");
}
