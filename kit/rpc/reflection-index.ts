import { type DescFile, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** What reflection knows: files as bytes, and which file declares what. */
export interface ReflectionIndex {
  /** The bytes of a file and of everything it imports, the file first; undefined where there is no such file. */
  fileNamed(name: string): Uint8Array[] | undefined;
  /** The same for the file that declares a symbol. */
  fileDeclaring(symbol: string): Uint8Array[] | undefined;
  /** The same for the file that declares an extension of a message type. */
  fileExtending(typeName: string, number: number): Uint8Array[] | undefined;
  /** Numbers of the extensions of a message type; undefined where the type is unknown. */
  extensionNumbers(typeName: string): number[] | undefined;
}

interface Tables {
  readonly files: Map<string, DescFile>;
  readonly symbols: Map<string, DescFile>;
  readonly extensions: Map<string, Map<number, DescFile>>;
}

/**
 * Indexes files and all they import. The bytes are written from the descriptor that the generated code carries, which
 * keeps options it has no type for as they were: routes, rules and policies can be read by whoever asks.
 */
export function indexFiles(roots: readonly DescFile[]): ReflectionIndex {
  const tables: Tables = { files: new Map(), symbols: new Map(), extensions: new Map() };
  for (const root of roots) addFile(root, tables);
  return {
    fileNamed: (name) => bytesOf(tables.files.get(name)),
    fileDeclaring: (symbol) => bytesOf(tables.symbols.get(symbol)),
    fileExtending: (typeName, number) => bytesOf(tables.extensions.get(typeName)?.get(number)),
    extensionNumbers: (typeName) => numbersOf(typeName, tables),
  };
}

function addFile(file: DescFile, tables: Tables): void {
  if (tables.files.has(file.proto.name)) return;
  tables.files.set(file.proto.name, file);
  for (const symbol of symbolsOf(file)) tables.symbols.set(symbol, file);
  for (const extension of [
    ...file.extensions,
    ...allMessages(file.messages).flatMap((m) => m.nestedExtensions),
  ]) {
    const byNumber = tables.extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
    tables.extensions.set(extension.extendee.typeName, byNumber.set(extension.number, file));
  }
  for (const dependency of file.dependencies) addFile(dependency, tables);
}

function symbolsOf(file: DescFile): string[] {
  const messages = allMessages(file.messages);
  const enums = [...file.enums, ...messages.flatMap((message) => message.nestedEnums)];
  const extensions = [...file.extensions, ...messages.flatMap((message) => message.nestedExtensions)];
  return [
    ...file.services.flatMap(({ typeName, methods }) => [
      typeName,
      ...methods.map((m) => `${typeName}.${m.name}`),
    ]),
    ...messages.flatMap(({ typeName, members }) => [
      typeName,
      ...members.map((m) => `${typeName}.${m.name}`),
    ]),
    ...enums.flatMap(({ typeName, values, parent, file: { proto } }) => [
      typeName,
      // The scope of an enum's values is that of the enum itself.
      ...values.map((value) => `${parent?.typeName ?? proto.package}.${value.name}`),
    ]),
    ...extensions.map(({ typeName }) => typeName),
  ];
}

function allMessages(messages: readonly DescMessage[]): DescMessage[] {
  return messages.flatMap((message) => [message, ...allMessages(message.nestedMessages)]);
}

// A file stands before all it imports: whoever builds from the last to the first always has what he needs.
function bytesOf(file: DescFile | undefined): Uint8Array[] | undefined {
  if (file === undefined) return undefined;
  const closure = new Set<DescFile>();
  collect(file, closure);
  return [...closure].reverse().map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}

function collect(file: DescFile, closure: Set<DescFile>): void {
  for (const dependency of file.dependencies) if (!closure.has(dependency)) collect(dependency, closure);
  closure.add(file);
}

function numbersOf(typeName: string, { symbols, extensions }: Tables): number[] | undefined {
  if (!symbols.has(typeName)) return undefined;
  return [...(extensions.get(typeName)?.keys() ?? [])];
}
