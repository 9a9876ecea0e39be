import { readFileSync } from "node:fs";
import { create, createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  file_google_protobuf_descriptor,
} from "@bufbuild/protobuf/wkt";
import { file_google_api_annotations } from "#gen/google/api/annotations_pb.ts";
import { file_google_api_http } from "#gen/google/api/http_pb.ts";
import { file_google_api_httpbody } from "#gen/google/api/httpbody_pb.ts";
import { wellKnownFiles } from "../routing/type-registry.ts";

// A server asked by reflection, or a set made without imports, may lack these; they are the same everywhere.
const wellKnown: ReadonlyMap<string, FileDescriptorProto> = new Map(
  [
    ...wellKnownFiles,
    file_google_protobuf_descriptor,
    file_google_api_annotations,
    file_google_api_http,
    file_google_api_httpbody,
  ].map(({ proto }) => [proto.name, proto]),
);

/** Whether a file is here anyway, so that no server need be asked for it. */
export function isWellKnown(name: string): boolean {
  return wellKnown.has(name);
}

/** Reads binary FileDescriptorSets; throws an Error that names the file and what is wrong with it. */
export function readDescriptors(paths: readonly string[]): FileRegistry {
  const files = new Map<string, FileDescriptorProto>();
  for (const path of paths) {
    for (const file of readSet(path)) files.set(file.name, file);
  }
  return linkFiles(files);
}

function readSet(path: string): FileDescriptorProto[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new Error(`descriptors ${path}: ${(error as Error).message}`);
  }
  try {
    const { file } = fromBinary(FileDescriptorSetSchema, bytes);
    if (file.length > 0 && file.every(({ name }) => name !== "")) return file;
  } catch {
    // What cannot be parsed is told like what holds nothing.
  }
  throw new Error(
    `descriptors ${path}: not a binary FileDescriptorSet (write one with 'buf build -o FILE.binpb' or 'protoc --include_imports -o FILE')`,
  );
}

/** Puts files in the order of their imports and resolves them; throws an Error that names an import that is missing. */
export function linkFiles(files: ReadonlyMap<string, FileDescriptorProto>): FileRegistry {
  const ordered = new Map<string, FileDescriptorProto>();
  const entered = new Set<string>();
  for (const root of files.values()) {
    // An explicit stack: descriptors come from outside and may be nested as deep as they like.
    const stack = [root];
    while (stack.length > 0) {
      const file = stack[stack.length - 1] as FileDescriptorProto;
      const missing = entered.has(file.name) ? [] : importsOf(file, files);
      entered.add(file.name);
      const next = missing.filter(({ name }) => !entered.has(name));
      if (next.length > 0) stack.push(...next);
      else {
        stack.pop();
        ordered.set(file.name, file);
      }
    }
  }
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...ordered.values()] }));
}

function importsOf(
  file: FileDescriptorProto,
  files: ReadonlyMap<string, FileDescriptorProto>,
): FileDescriptorProto[] {
  return file.dependency.map((name) => {
    const found = files.get(name) ?? wellKnown.get(name);
    if (found === undefined)
      throw new Error(
        `${file.name} imports ${name}, which is not among the descriptors (protoc needs --include_imports)`,
      );
    return found;
  });
}
