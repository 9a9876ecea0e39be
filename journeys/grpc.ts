// gRPC by grpc-js, the implementation most Node programs use; the gateway and Connect's clients share no code with it.

import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";

const answerWithinMs = 10_000;

/** Where a call goes, and with which metadata. */
export interface GrpcTarget {
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Calls a unary method. @throws ServiceError of grpc-js. */
export async function callGrpc<M extends DescMethod>(
  { port, headers }: GrpcTarget,
  method: M,
  request: MessageInitShape<M["input"]>,
): Promise<MessageShape<M["output"]>> {
  const message = create(method.input, request);
  return await withClient(port, (client) => {
    const { promise, resolve, reject } = Promise.withResolvers<MessageShape<M["output"]>>();
    client.makeUnaryRequest(
      pathOf(method),
      (value: MessageShape<M["input"]>) => Buffer.from(toBinary(method.input, value)),
      (bytes) => fromBinary(method.output, bytes) as MessageShape<M["output"]>,
      message as MessageShape<M["input"]>,
      toMetadata(headers),
      { deadline: Date.now() + answerWithinMs },
      (error, answer) => (error || !answer ? reject(error) : resolve(answer)),
    );
    return promise;
  });
}

/** The code with which a call is refused; fails where it is answered. */
export async function refusedGrpc(target: GrpcTarget, method: DescMethod): Promise<number> {
  try {
    await callGrpc(target, method, {} as never);
  } catch (error) {
    return (error as ServiceError).code;
  }
  throw new Error(`${pathOf(method)} was answered`);
}

/** Asks a port's reflection one question. @throws ServiceError of grpc-js where it has none. */
export async function reflect(
  port: number,
  messageRequest: ServerReflectionRequest["messageRequest"],
): Promise<ServerReflectionResponse["messageResponse"] | undefined> {
  return await withClient(port, async (client) => {
    const stream = client.makeBidiStreamRequest<ServerReflectionRequest, ServerReflectionResponse>(
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      (request) => Buffer.from(toBinary(ServerReflectionRequestSchema, request)),
      (bytes) => fromBinary(ServerReflectionResponseSchema, bytes),
      toMetadata({}),
      { deadline: Date.now() + answerWithinMs },
    );
    stream.write(create(ServerReflectionRequestSchema, { messageRequest }));
    stream.end();
    const [answer] = await Array.fromAsync<ServerReflectionResponse>(stream);
    return answer?.messageResponse;
  });
}

async function withClient<T>(port: number, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const pathOf = ({ parent, name }: DescMethod) => `/${parent.typeName}/${name}`;

function toMetadata(headers: GrpcTarget["headers"]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}
