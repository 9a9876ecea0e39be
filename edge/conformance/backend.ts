import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  BidiStreamResponseSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  ClientStreamResponseSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformanceService,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  IdempotentUnaryResponseSchema,
  type ServerStreamRequest,
  ServerStreamRequestSchema,
  ServerStreamResponseSchema,
  type StreamResponseDefinition,
  type UnaryRequest,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
  UnaryResponseSchema,
} from "#gen/connectrpc/conformance/v1/service_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";

type AnyCall =
  | grpc.ServerUnaryCall<Message, Message>
  | grpc.ServerReadableStream<Message, Message>
  | grpc.ServerWritableStream<Message, Message>
  | grpc.ServerDuplexStream<Message, Message>;

/** The edge's cap on deadlines, above any of the suite; a call without a timeout of its own comes with this one. */
export const maxTimeoutMs = 600_000;

/** The suite's service on grpc-js, answering as each request asks it to. */
export async function startConformanceBackend(
  maxMessageBytes: number,
): Promise<{ port: number; close(): void }> {
  const server = new grpc.Server({ "grpc.max_receive_message_length": maxMessageBytes });
  server.addService(definition, {
    Unary: unary(UnaryRequestSchema, UnaryResponseSchema),
    IdempotentUnary: unary(IdempotentUnaryRequestSchema, IdempotentUnaryResponseSchema),
    ServerStream: serverStream,
    ClientStream: clientStream,
    BidiStream: bidiStream,
  } as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, close: () => server.forceShutdown() };
}

const definition: grpc.ServiceDefinition = Object.fromEntries(
  ConformanceService.methods.map((method) => [
    method.name,
    {
      path: `/${ConformanceService.typeName}/${method.name}`,
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
    },
  ]),
);

const pause = (delayMs: number) =>
  delayMs === 0 ? Promise.resolve() : new Promise<void>((resolve) => setTimeout(resolve, delayMs));

function metadataOf(headers: readonly Header[]): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const { name, value } of headers)
    for (const item of value)
      metadata.add(name, name.toLowerCase().endsWith("-bin") ? Buffer.from(item, "base64") : item);
  return metadata;
}

function requestInfo(call: AnyCall, requests: Any[]): ConformancePayload_RequestInfo {
  const deadline = call.getDeadline();
  const leftMs = Number(deadline) - Date.now();
  const timed = leftMs < maxTimeoutMs / 2;
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: Object.keys(call.metadata.getMap()).map((name) => ({
      name,
      value: call.metadata
        .get(name)
        .map((item) => (typeof item === "string" ? item : item.toString("base64"))),
    })),
    requests,
    ...(timed && { timeoutMs: BigInt(Math.max(0, Math.floor(leftMs))) }),
  });
}

/** The error a request asks for, with what was seen of it where no message could carry that. */
function errorOf(
  error: ErrorDefinition,
  trailers: grpc.Metadata,
  info?: ConformancePayload_RequestInfo,
): Partial<grpc.StatusObject> {
  const details =
    info === undefined
      ? error.details
      : [...error.details, anyPack(ConformancePayload_RequestInfoSchema, info)];
  const status = create(StatusSchema, { code: error.code, message: error.message ?? "", details });
  trailers.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  return { code: error.code, details: error.message ?? "", metadata: trailers };
}

function answerUnary(
  call: AnyCall,
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  respond: grpc.sendUnaryData<Message>,
  wrap: (payload: object) => Message,
): void {
  const info = requestInfo(call, requests);
  const trailers = metadataOf(definition?.responseTrailers ?? []);
  if (definition) call.sendMetadata(metadataOf(definition.responseHeaders));
  void pause(definition?.responseDelayMs ?? 0).then(() => {
    const { response } = definition ?? {};
    if (response?.case === "error") respond(errorOf(response.value, trailers, info));
    else {
      const data = response?.case === "responseData" ? response.value : new Uint8Array();
      respond(null, wrap({ payload: { data, requestInfo: info } }), trailers);
    }
  });
}

function unary(
  input: typeof UnaryRequestSchema | typeof IdempotentUnaryRequestSchema,
  output: typeof UnaryResponseSchema | typeof IdempotentUnaryResponseSchema,
) {
  return (call: grpc.ServerUnaryCall<UnaryRequest, Message>, respond: grpc.sendUnaryData<Message>): void =>
    answerUnary(
      call,
      call.request.responseDefinition,
      [anyPack(input, call.request as never)],
      respond,
      (init) => create(output as typeof UnaryResponseSchema, init),
    );
}

function clientStream(
  call: grpc.ServerReadableStream<ClientStreamRequest, Message>,
  respond: grpc.sendUnaryData<Message>,
): void {
  const requests: Any[] = [];
  let definition: UnaryResponseDefinition | undefined;
  call.on("data", (request: ClientStreamRequest) => {
    definition ??= request.responseDefinition;
    requests.push(anyPack(ClientStreamRequestSchema, request));
  });
  call.on("end", () =>
    answerUnary(call, definition, requests, respond, (init) => create(ClientStreamResponseSchema, init)),
  );
}

function serverStream(call: grpc.ServerWritableStream<ServerStreamRequest, Message>): void {
  const { responseDefinition } = call.request;
  void writeAll(
    call,
    responseDefinition,
    requestInfo(call, [anyPack(ServerStreamRequestSchema, call.request)]),
    (init) => create(ServerStreamResponseSchema, init),
  );
}

/** Sends the answers that are left; the first that is sent tells what was seen of the request. */
async function writeAll(
  call:
    | grpc.ServerWritableStream<never, Message>
    | grpc.ServerWritableStream<ServerStreamRequest, Message>
    | grpc.ServerDuplexStream<BidiStreamRequest, Message>,
  definition: StreamResponseDefinition | undefined,
  info: ConformancePayload_RequestInfo,
  wrap: (init: object) => Message,
  from = 0,
): Promise<void> {
  if (definition && from === 0) call.sendMetadata(metadataOf(definition.responseHeaders));
  const trailers = metadataOf(definition?.responseTrailers ?? []);
  const data = definition?.responseData ?? [];
  for (let at = from; at < data.length && !call.cancelled; at++) {
    await pause(definition?.responseDelayMs ?? 0);
    call.write(wrap({ payload: { data: data[at], ...(at === 0 && { requestInfo: info }) } }));
  }
  const error = definition?.error;
  if (error === undefined) call.end(trailers);
  else call.emit("error", errorOf(error, trailers, data.length === 0 ? info : undefined));
}

function bidiStream(call: grpc.ServerDuplexStream<BidiStreamRequest, Message>): void {
  let definition: StreamResponseDefinition | undefined;
  let fullDuplex = false;
  let sent = 0;
  let over = false;
  let unseen: Any[] = [];
  let turn: Promise<void> = Promise.resolve();
  const wrap = (init: object) => create(BidiStreamResponseSchema, init);
  const answerOne = async (): Promise<void> => {
    const requests = unseen;
    unseen = [];
    await pause(definition?.responseDelayMs ?? 0);
    const info =
      sent === 0 ? requestInfo(call, requests) : create(ConformancePayload_RequestInfoSchema, { requests });
    call.write(wrap({ payload: { data: definition?.responseData[sent++], requestInfo: info } }));
  };
  const finish = (): Promise<void> => {
    over = true;
    return writeAll(call, definition, requestInfo(call, unseen), wrap, sent);
  };
  call.on("data", (request: BidiStreamRequest) => {
    unseen.push(anyPack(BidiStreamRequestSchema, request));
    turn = turn.then(async () => {
      if (definition === undefined) {
        definition = request.responseDefinition;
        fullDuplex = request.fullDuplex;
        if (definition && fullDuplex) call.sendMetadata(metadataOf(definition.responseHeaders));
      }
      if (!fullDuplex || over) return;
      if (sent < (definition?.responseData.length ?? 0)) await answerOne();
      // A request that nothing is left to answer ends the call, without waiting for the caller's end.
      else await finish();
    });
  });
  call.on("end", () => {
    turn = turn.then(() => (over ? undefined : finish()));
  });
}
