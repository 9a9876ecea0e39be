// A plugin of buf: writes the comments of the contract into gen/comments.ts, since generated code carries none that a program could
// read. Keys are full names: `souk.orders.v1.Order.order_id`.

import { readFileSync, writeFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponseSchema,
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";

type Named = readonly (readonly [path: string, name: string])[];

/** Every path of a file's descriptor that a comment can stand at, with what it names. */
function namesIn(file: FileDescriptorProto): Named {
  return [
    ["2", file.package],
    ...file.messageType.flatMap((message, at) => namesOfMessage(message, `4,${at}`, file.package)),
    ...file.enumType.flatMap((one, at) => namesOfEnum(one, `5,${at}`, file.package)),
    ...file.service.flatMap((service, at) => [
      [`6,${at}`, `${file.package}.${service.name}`] as const,
      ...service.method.map(
        ({ name }, index) => [`6,${at},2,${index}`, `${file.package}.${service.name}.${name}`] as const,
      ),
    ]),
  ];
}

function namesOfMessage(message: DescriptorProto, path: string, parent: string): Named {
  const name = `${parent}.${message.name}`;
  return [
    [path, name],
    ...message.field.map((field, at) => [`${path},2,${at}`, `${name}.${field.name}`] as const),
    ...message.nestedType.flatMap((nested, at) => namesOfMessage(nested, `${path},3,${at}`, name)),
    ...message.enumType.flatMap((one, at) => namesOfEnum(one, `${path},4,${at}`, name)),
  ];
}

function namesOfEnum({ name: own, value }: EnumDescriptorProto, path: string, parent: string): Named {
  const name = `${parent}.${own}`;
  return [[path, name], ...value.map((one, at) => [`${path},2,${at}`, `${name}.${one.name}`] as const)];
}

function commentsOf(file: FileDescriptorProto): (readonly [string, string])[] {
  const names = new Map(namesIn(file));
  return (file.sourceCodeInfo?.location ?? []).flatMap(({ path, leadingComments }) => {
    const name = names.get(path.join(","));
    const text = leadingComments
      .split("\n")
      // Instructions to buf are none of a reader's business.
      .filter((line) => !line.trim().startsWith("buf:lint:"))
      .join(" ")
      .replaceAll(/\s+/g, " ")
      .trim();
    return name === undefined || text === "" ? [] : [[name, text] as const];
  });
}

const request = fromBinary(CodeGeneratorRequestSchema, readFileSync(0));
// The parameter is a folder: only the contracts in it are read for their words.
const files = request.protoFile.filter(
  ({ name }) => request.fileToGenerate.includes(name) && name.startsWith(request.parameter),
);
const comments = files.flatMap(commentsOf).sort(([one], [other]) => (one < other ? -1 : 1));
const content = [
  "// Made from the comments of the contract by buf; do not edit.",
  "",
  "/** What the contract says of its packages, services, methods, messages, fields, enums and values, by full name. */",
  `export const comments: Readonly<Record<string, string>> = ${JSON.stringify(Object.fromEntries(comments), null, 2)};`,
  "",
].join("\n");

const response = create(CodeGeneratorResponseSchema, {
  supportedFeatures: BigInt(CodeGeneratorResponse_Feature.PROTO3_OPTIONAL),
  file: [{ name: "comments.ts", content }],
});
writeFileSync(1, toBinary(CodeGeneratorResponseSchema, response));
