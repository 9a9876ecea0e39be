import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyPack, EmptySchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import {
  type Book,
  BookSchema,
  type FailCallRequest,
  type GetBookRequest,
  type GetFileRequest,
  GetFileResponseSchema,
  type InspectCallRequest,
  InspectCallResponseSchema,
  type Kinds,
  LibraryService,
  type ReplaceBookRequest,
  type UpdateBookRequest,
  type UploadFileRequest,
  UploadFileResponseSchema,
  type WaitForCancelRequest,
  type WatchBooksRequest,
} from "#gen/edge/testing/v1/library_pb.ts";
import { type HttpBody, HttpBodySchema } from "#gen/google/api/httpbody_pb.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";

/** What the backend noticed, for assertions. */
export interface BackendFacts {
  cancelled: number;
  open: number;
  answered: number;
  sent: number;
}

/** A running backend. */
export interface Backend {
  readonly port: number;
  readonly facts: BackendFacts;
  /** Ends it at once, connections and all. */
  kill(): void;
}

type UnaryCall = grpc.ServerUnaryCall<never, Message>;
type StreamCall = grpc.ServerWritableStream<never, Message>;
type Unary = (request: never, call: UnaryCall, facts: BackendFacts) => Message | Promise<Message>;

class Failure extends Error {
  readonly code: number;
  readonly details: string;
  readonly metadata = new grpc.Metadata();

  constructor(code: number, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

const echo = (request: Message): Message => request;
const bookNamed = ({ id, name, revision }: GetBookRequest): Book =>
  create(BookSchema, { id, name, pageCount: revision });
const fileAt = ({ path }: GetFileRequest): Message => create(GetFileResponseSchema, { path });

const unaries: Record<string, Unary> = {
  GetBook: bookNamed,
  GetFeaturedBook: () => create(BookSchema, { id: "the featured one" }),
  CreateBook: echo,
  ReplaceBook: (request: ReplaceBookRequest) =>
    Object.assign(create(BookSchema), request.book, { subtitle: String(request.allowMissing) }),
  UpdateBook: (request: UpdateBookRequest) => request,
  DeleteBook: () => create(EmptySchema),
  ArchiveBook: bookNamed,
  GetFile: fileAt,
  EchoKinds: (request: Kinds) => request,
  Probe: (request: GetFileRequest) => create(GetFileResponseSchema, { path: `probed ${request.path}` }),
  GetWildLiteral: () => create(GetFileResponseSchema, { path: "literal" }),
  ReceiveWebhook: receiveWebhook,
  UploadFile: (request: UploadFileRequest) =>
    create(UploadFileResponseSchema, {
      name: request.name,
      note: request.note,
      contentType: request.content?.contentType ?? "",
      data: request.content?.data ?? new Uint8Array(),
    }),
  InspectCall: inspectCall,
  FailCall: failCall,
  WaitForCancel: waitForCancel,
  HiddenCall: () => create(EmptySchema),
};

function receiveWebhook(request: HttpBody, call: UnaryCall): Message {
  const signature = String(call.metadata.get("x-signature")[0] ?? "");
  return create(HttpBodySchema, {
    contentType: request.contentType,
    data: Buffer.concat([Buffer.from(`${signature}|`), request.data]),
  });
}

function inspectCall(request: InspectCallRequest, call: UnaryCall, facts: BackendFacts): Message {
  const metadata = Object.fromEntries(
    Object.keys(call.metadata.getMap()).map((name) => [name, call.metadata.get(name).map(String).join("|")]),
  );
  const deadline = call.getDeadline();
  const initial = new grpc.Metadata();
  initial.set("x-shelf", "seven");
  initial.set("x-secret", "inside");
  call.sendMetadata(initial);
  return create(InspectCallResponseSchema, {
    metadata,
    timeoutMs: deadline === Number.POSITIVE_INFINITY ? 0 : Number(deadline) - Date.now(),
    padding: new Uint8Array(request.answerBytes),
    answered: ++facts.answered,
  });
}

function failCall(request: FailCallRequest): Message {
  const failure = new Failure(request.code, request.message);
  const status = request.status ?? (request.withDetails ? detailed(request) : undefined);
  if (status !== undefined) {
    failure.metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  }
  throw failure;
}

function detailed(request: FailCallRequest): MessageShape<typeof StatusSchema> {
  const details = request.info === undefined ? [] : [anyPack(ErrorInfoSchema, request.info)];
  return create(StatusSchema, { code: request.code, message: request.message, details });
}

function waitForCancel(
  request: WaitForCancelRequest,
  call: UnaryCall,
  facts: BackendFacts,
): Promise<Message> {
  facts.open++;
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(), request.waitMs);
    const finish = (): void => {
      facts.open--;
      resolve(create(EmptySchema));
    };
    call.on("cancelled", () => {
      clearTimeout(timer);
      facts.cancelled++;
      finish();
    });
  });
}

async function watchBooks(
  request: WatchBooksRequest,
  call: StreamCall,
  facts: BackendFacts,
  make: (id: number) => Message,
): Promise<void> {
  facts.open++;
  const cancelled = new Promise<void>((resolve) => call.once("cancelled", resolve)).then(
    () => facts.cancelled++,
  );
  for (let id = 0; id < request.count && !call.cancelled; id++) {
    facts.sent++;
    if (!call.write(make(id)))
      await Promise.race([new Promise((resolve) => call.once("drain", resolve)), cancelled]);
  }
  if (request.stayOpen && !call.cancelled) await cancelled;
  facts.open--;
  if (request.failWith === 0) call.end();
  else call.emit("error", new Failure(request.failWith, "the stream broke"));
}

function unaryHandler(method: DescMethod, facts: BackendFacts): grpc.handleUnaryCall<never, Message> {
  const run = unaries[method.name] as Unary;
  return (call, respond) => {
    Promise.try(() => run(call.request, call, facts)).then(
      (message) => respond(null, message),
      (error: unknown) => respond(error as grpc.ServiceError),
    );
  };
}

function handlerOf(method: DescMethod, facts: BackendFacts): grpc.UntypedHandleCall {
  switch (method.name) {
    case "WatchBooks":
      return ((call: StreamCall) => {
        const request = call.request as WatchBooksRequest;
        void watchBooks(request, call, facts, (id) =>
          create(BookSchema, { id: String(id), displayTitle: "x".repeat(request.paddingBytes) }),
        );
      }) as grpc.UntypedHandleCall;
    case "DownloadFile":
      return ((call: StreamCall) => {
        void watchBooks(call.request as WatchBooksRequest, call, facts, (id) =>
          create(HttpBodySchema, { contentType: "text/plain", data: Buffer.from(`part ${id};`) }),
        );
      }) as grpc.UntypedHandleCall;
    case "Chat":
      return ((call: grpc.ServerDuplexStream<Message, Message>) => {
        call.on("data", (message: Message) => call.write(message));
        call.on("end", () => call.end());
      }) as grpc.UntypedHandleCall;
    default:
      return unaryHandler(method, facts) as grpc.UntypedHandleCall;
  }
}

/** A service as grpc-js defines services, for backends and clients. */
export function definitionOf(service: DescService): grpc.ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.name,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: (message: Message) => Buffer.from(toBinary(method.input, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
        responseSerialize: (message: Message) => Buffer.from(toBinary(method.output, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
      },
    ]),
  );
}

/** The test service as grpc-js defines services. */
export const libraryDefinition: grpc.ServiceDefinition = definitionOf(LibraryService);

/** How a backend differs from the plain one. */
export interface BackendOptions {
  readonly port?: number;
  /** Default: cleartext. */
  readonly credentials?: grpc.ServerCredentials;
  /** Adds to the server before it listens. */
  readonly extend?: (server: grpc.Server) => void;
}

/** Starts the test contract's backend on grpc-js. */
export async function startBackend({ port = 0, credentials, extend }: BackendOptions = {}): Promise<Backend> {
  const facts: BackendFacts = { cancelled: 0, open: 0, answered: 0, sent: 0 };
  const server = new grpc.Server({ "grpc.max_receive_message_length": 16 * 1024 * 1024 });
  server.addService(
    libraryDefinition,
    Object.fromEntries(LibraryService.methods.map((method) => [method.name, handlerOf(method, facts)])),
  );
  extend?.(server);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      credentials ?? grpc.ServerCredentials.createInsecure(),
      (error, at) => (error === null ? resolve(at) : reject(error)),
    );
  });
  return { port: bound, facts, kill: () => server.forceShutdown() };
}
