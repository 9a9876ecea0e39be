import { create, createFileRegistry, fromBinary, getOption, toBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { field as rules } from "#gen/buf/validate/validate_pb.ts";
import { http } from "#gen/google/api/annotations_pb.ts";
import { Code } from "#gen/google/rpc/code_pb.ts";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { policy } from "#gen/souk/options/v1/options_pb.ts";
import { startInventory, type TestServer } from "./tests/inventory.ts";

type Question = ServerReflectionRequest["messageRequest"];

// Asks a server all questions over one stream, as tools do.
async function ask({ port }: TestServer, questions: Question[], version = "v1") {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest<ServerReflectionRequest, ServerReflectionResponse>(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (request) => Buffer.from(toBinary(ServerReflectionRequestSchema, request)),
    (bytes) => fromBinary(ServerReflectionResponseSchema, bytes),
    new Metadata(),
  );
  for (const messageRequest of questions)
    stream.write(create(ServerReflectionRequestSchema, { messageRequest }));
  stream.end();
  try {
    return await Array.fromAsync<ServerReflectionResponse>(stream);
  } finally {
    client.close();
  }
}

async function filesFor(server: TestServer, question: Question): Promise<FileDescriptorProto[]> {
  const [answer] = await ask(server, [question]);
  if (answer?.messageResponse.case !== "fileDescriptorResponse") throw new Error("no files");
  return answer.messageResponse.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

it.each(["v1", "v1alpha"])("a server lists its services by %s", async (version) => {
  await using inventory = await startInventory();
  const [answer] = await ask(inventory, [{ case: "listServices", value: "" }], version);
  expect(answer?.messageResponse.value).toMatchObject({
    service: [
      { name: "souk.inventory.v1.InventoryService" },
      { name: "grpc.health.v1.Health" },
      { name: "grpc.reflection.v1.ServerReflection" },
    ],
  });
});

it.each([
  ["a service", "souk.inventory.v1.InventoryService"],
  ["a method", "souk.inventory.v1.InventoryService.GetStock"],
  ["a message", "souk.inventory.v1.StockLine"],
  ["a field", "souk.inventory.v1.StockLine.quantity"],
  ["an enum", "souk.inventory.v1.MovementReason"],
  ["an enum's value", "souk.inventory.v1.MOVEMENT_REASON_SOLD"],
])("the file of %s is found by its name", async (_kind, value) => {
  await using inventory = await startInventory();
  const [first] = await filesFor(inventory, { case: "fileContainingSymbol", value });
  expect(first?.name).toBe("souk/inventory/v1/inventory.proto");
});

it("what error details are made of is told too", async () => {
  await using inventory = await startInventory();
  const [first] = await filesFor(inventory, { case: "fileContainingSymbol", value: "google.rpc.ErrorInfo" });
  expect(first?.name).toBe("google/rpc/error_details.proto");
});

it("a file comes with all it imports, and with routes, rules and policies as the contract has them", async () => {
  await using inventory = await startInventory();
  const symbol = "souk.inventory.v1.InventoryService";
  const file = await filesFor(inventory, { case: "fileContainingSymbol", value: symbol });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
  const { getStock } = registry.getService(symbol)?.method ?? {};
  const { sku } = registry.getMessage("souk.inventory.v1.StockLine")?.field ?? {};
  if (getStock === undefined || sku === undefined) throw new Error("the contract is not whole");
  expect(getOption(getStock, http).pattern).toEqual({ case: "get", value: "/v1/stock/{sku}" });
  expect(getOption(getStock, policy)).toMatchObject({ scopes: ["inventory:read"] });
  expect(getOption(sku, rules).type).toMatchObject({
    case: "string",
    value: { pattern: "^[A-Z0-9][A-Z0-9-]{0,39}$" },
  });
  expect(file.map(({ name }) => name)).toContain("google/api/annotations.proto");
});

it("the bytes of a file are those of its descriptor", async () => {
  await using inventory = await startInventory();
  const name = "souk/inventory/v1/inventory.proto";
  const [answer] = await ask(inventory, [{ case: "fileByFilename", value: name }]);
  const files = answer?.messageResponse.case === "fileDescriptorResponse" && answer.messageResponse.value;
  const own = toBinary(FileDescriptorProtoSchema, InventoryService.file.proto);
  expect(files && Buffer.from(files.fileDescriptorProto[0] as Uint8Array).equals(own)).toBe(true);
  expect(Buffer.from(own).includes("/v1/stock/{sku}/movements")).toBe(true);
});

it("extensions are found by what they extend", async () => {
  await using inventory = await startInventory();
  const containingType = "google.protobuf.MethodOptions";
  const [numbers, file] = await ask(inventory, [
    { case: "allExtensionNumbersOfType", value: containingType },
    {
      case: "fileContainingExtension",
      value: {
        $typeName: "grpc.reflection.v1.ExtensionRequest",
        containingType,
        extensionNumber: http.number,
      },
    },
  ]);
  expect(numbers?.messageResponse.value).toMatchObject({
    extensionNumber: expect.arrayContaining([http.number, policy.number]),
  });
  expect(file?.messageResponse.case).toBe("fileDescriptorResponse");
});

it("a question about nothing that is served is answered with not found, and the next one is answered", async () => {
  await using inventory = await startInventory();
  const answers = await ask(inventory, [
    { case: "fileContainingSymbol", value: "no.such.Thing" },
    { case: "fileByFilename", value: "no-such.proto" },
    { case: "allExtensionNumbersOfType", value: "no.such.Thing" },
    { case: undefined },
    { case: "listServices", value: "" },
  ]);
  expect(
    answers.map(({ messageResponse: { value } }) => value && "errorCode" in value && value.errorCode),
  ).toEqual([Code.NOT_FOUND, Code.NOT_FOUND, Code.NOT_FOUND, Code.INVALID_ARGUMENT, false]);
});

it("a server told not to tells nothing", async () => {
  await using inventory = await startInventory({}, { reflection: false });
  const asking = ask(inventory, [{ case: "listServices", value: "" }]);
  await expect(asking).rejects.toMatchObject({ code: Code.UNIMPLEMENTED });
});
