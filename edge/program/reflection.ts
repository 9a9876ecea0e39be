import { create, type FileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { Code, codeName } from "../grpc/grpc-code.ts";
import type { Outcome } from "../upstream/call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { isWellKnown, linkFiles } from "./descriptors.ts";

const askTimeoutMs = 5_000;
// Contracts of any size fit; a server that sends more is not describing itself.
const maxAnswerBytes = 64 * 1024 * 1024;
/** A backend that starts beside the edge is waited for this long. */
const startTimeoutMs = 10_000;
const maxFiles = 10_000;

type Question = NonNullable<Exclude<ServerReflectionRequest["messageRequest"], { case: undefined }>>;

/** What backends say of themselves. */
export interface Reflected {
  readonly registry: FileRegistry;
  /** Services by the backend that announced them, in the order asked. */
  readonly services: ReadonlyMap<string, readonly string[]>;
}

/** A backend to ask. */
export interface Reflecting {
  readonly address: string;
  readonly upstream: Upstream;
}

/**
 * Asks backends for their services and descriptors, by grpc.reflection.v1 or, where a server has only that, v1alpha.
 * @throws Error naming the backend that does not answer or does not serve reflection.
 */
export async function reflect(backends: readonly Reflecting[]): Promise<Reflected> {
  const files = new Map<string, FileDescriptorProto>();
  const services = new Map<string, readonly string[]>();
  for (const { address, upstream } of backends) {
    try {
      services.set(address, await collect(upstream, files));
    } catch (error) {
      throw new Error(`reflection of ${address}: ${(error as Error).message}`);
    }
  }
  return { registry: linkFiles(files), services };
}

async function collect(upstream: Upstream, files: Map<string, FileDescriptorProto>): Promise<string[]> {
  const { version, names } = await listServices(upstream);
  const wanted = names.filter((name) => !name.startsWith("grpc.reflection."));
  const missing: Question[] = wanted.map((value) => ({ case: "fileContainingSymbol", value }));
  while (missing.length > 0) {
    const question = missing.pop() as Question;
    if (question.case === "fileByFilename" && files.has(question.value)) continue;
    const { messageResponse } = await ask(upstream, version, question);
    if (messageResponse.case !== "fileDescriptorResponse")
      throw new Error(`no descriptor of ${question.value} (${refusalOf(messageResponse)})`);
    for (const bytes of messageResponse.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      if (files.has(file.name)) continue;
      if (files.size >= maxFiles) throw new Error(`more than ${maxFiles} files`);
      files.set(file.name, file);
      for (const value of file.dependency)
        if (!isWellKnown(value)) missing.push({ case: "fileByFilename", value });
    }
  }
  return wanted;
}

function refusalOf(response: ServerReflectionResponse["messageResponse"]): string {
  return response.case === "errorResponse" ? response.value.errorMessage : "the answer is of another kind";
}

async function listServices(upstream: Upstream): Promise<{ version: string; names: string[] }> {
  const lateMs = performance.now() + startTimeoutMs;
  for (;;) {
    try {
      return await listByAnyVersion(upstream);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== Code.UNAVAILABLE || performance.now() > lateMs)
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function listByAnyVersion(upstream: Upstream): Promise<{ version: string; names: string[] }> {
  for (const version of ["v1", "v1alpha"]) {
    try {
      const { messageResponse } = await ask(upstream, version, { case: "listServices", value: "" });
      if (messageResponse.case !== "listServicesResponse") throw new Error(refusalOf(messageResponse));
      return { version, names: messageResponse.value.service.map(({ name }) => name) };
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== Code.UNIMPLEMENTED) throw error;
    }
  }
  throw new Error("the server has none; give its descriptors by --descriptors");
}

class Refusal extends Error {
  readonly code: number;

  constructor({ code, message }: Outcome) {
    super(`${codeName(code)}${message === "" ? "" : `: ${message}`}`);
    this.code = code;
  }
}

function ask(
  upstream: Upstream,
  version: string,
  messageRequest: Question,
): Promise<ServerReflectionResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<ServerReflectionResponse>();
  let answer: Buffer | undefined;
  upstream.call(
    {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      metadata: [],
      message: toBinary(
        ServerReflectionRequestSchema,
        create(ServerReflectionRequestSchema, { messageRequest }),
      ),
      timeoutMs: askTimeoutMs,
      maxResponseBytes: maxAnswerBytes,
      retryable: true,
    },
    {
      onMessage: (bytes) => {
        answer = bytes;
      },
      onEnd: (outcome) => {
        if (outcome.code !== Code.OK) reject(new Refusal(outcome));
        else if (answer === undefined) reject(new Error("the answer is empty"));
        else resolve(fromBinary(ServerReflectionResponseSchema, answer));
      },
    },
  );
  return promise;
}
