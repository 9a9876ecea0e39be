import { create, type DescFile, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type * as grpc from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";

type Stream = grpc.ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

/** Adds server reflection of one version, which sends one file at a time and so must be asked for imports too. */
export function addReflection(
  server: grpc.Server,
  version: "v1" | "v1alpha",
  services: readonly DescService[],
): void {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    files.set(file.proto.name, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const { file } of services) add(file);
  const answer = (request: ServerReflectionRequest): ServerReflectionResponse => {
    const { messageRequest } = request;
    if (messageRequest.case === "listServices") {
      const service = services.map(({ typeName }) => ({ name: typeName }));
      return create(ServerReflectionResponseSchema, {
        messageResponse: { case: "listServicesResponse", value: { service } },
      });
    }
    const value = String(messageRequest.value);
    const file = files.get(value) ?? services.find(({ typeName }) => typeName === value)?.file;
    return create(ServerReflectionResponseSchema, {
      messageResponse:
        file === undefined
          ? { case: "errorResponse", value: { errorCode: 5, errorMessage: "not found" } }
          : {
              case: "fileDescriptorResponse",
              value: { fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, file.proto)] },
            },
    });
  };
  server.register(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (stream: Stream) => {
      stream.on("data", (request: ServerReflectionRequest) => stream.write(answer(request)));
      stream.on("end", () => stream.end());
    },
    (response: ServerReflectionResponse) => Buffer.from(toBinary(ServerReflectionResponseSchema, response)),
    (bytes: Buffer) => fromBinary(ServerReflectionRequestSchema, bytes),
    "bidi",
  );
}
