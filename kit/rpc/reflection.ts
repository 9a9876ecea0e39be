import { create, type DescService, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Server, ServerDuplexStream } from "@grpc/grpc-js";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { Health } from "#gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { deadlineExceeded } from "./abandonment.ts";
import { asBuffer } from "./answer.ts";
import { indexFiles, type ReflectionIndex } from "./reflection-index.ts";

/** Whoever asks is a person or a tool that looks around; a forgotten one is cut off after this long. */
const longestStreamMs = 60_000;

const method = ServerReflection.method.serverReflectionInfo;

type Question = ServerReflectionRequest["messageRequest"];
type Reply = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;
type Stream = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

/**
 * Serves grpc.reflection.v1, and v1alpha, which is the same on the wire, for the services given, health and itself.
 * @grpc/reflection does this too, but loses option extensions, and with them routes and rules.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const served = [...services, Health, ServerReflection];
  // Error details travel as Any: tools show them when they know what is in there.
  const index = indexFiles([...served.map(({ file }) => file), file_google_rpc_error_details]);
  const names = served.map(({ typeName }) => typeName);
  for (const version of ["v1", "v1alpha"])
    server.register(
      `/grpc.reflection.${version}.ServerReflection/${method.name}`,
      (stream: Stream) => answerAll(stream, index, names),
      (response: ServerReflectionResponse) => asBuffer(toBinary(ServerReflectionResponseSchema, response)),
      (bytes) => fromBinary(ServerReflectionRequestSchema, bytes),
      "bidi",
    );
}

function answerAll(stream: Stream, index: ReflectionIndex, names: readonly string[]): void {
  const timer = setTimeout(() => stream.destroy(deadlineExceeded()), longestStreamMs).unref();
  stream.on("data", (request: ServerReflectionRequest) => {
    stream.pause();
    stream.write(respond(request, index, names), () => stream.resume());
  });
  stream.on("end", () => stream.end());
  stream.on("cancelled", () => clearTimeout(timer));
}

function respond(request: ServerReflectionRequest, index: ReflectionIndex, names: readonly string[]) {
  return create(ServerReflectionResponseSchema, {
    validHost: request.host,
    originalRequest: request,
    messageResponse: reply(request.messageRequest, index, names),
  });
}

function reply(question: Question, index: ReflectionIndex, names: readonly string[]): Reply {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } };
    case "fileByFilename":
      return files(index.fileNamed(question.value));
    case "fileContainingSymbol":
      return files(index.fileDeclaring(question.value));
    case "fileContainingExtension":
      return files(index.fileExtending(question.value.containingType, question.value.extensionNumber));
    case "allExtensionNumbersOfType":
      return extensionNumbers(question.value, index);
    default:
      return refusal(Code.INVALID_ARGUMENT, "The request asks nothing.");
  }
}

function files(found: Uint8Array[] | undefined): Reply {
  if (found === undefined) return refusal(Code.NOT_FOUND, "Nothing of that name is served here.");
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: found } };
}

function extensionNumbers(baseTypeName: string, index: ReflectionIndex): Reply {
  const extensionNumber = index.extensionNumbers(baseTypeName);
  if (extensionNumber === undefined) return refusal(Code.NOT_FOUND, "Nothing of that name is served here.");
  return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
}

function refusal(errorCode: Code, errorMessage: string): Reply {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
