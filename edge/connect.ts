import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  type Code as ConnectCode,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { sendProblem } from "./answer.ts";
import { destinationOf } from "./backend-choice.ts";
import type { Callee, CallListener, Outcome } from "./call.ts";
import { EdgeError, toEdgeError } from "./edge-error.ts";
import { errorOfOutcome } from "./error-reasons.ts";
import { Code, isInternalCode } from "./grpc-code.ts";
import { createMessageQueue, type MessageQueue } from "./message-queue.ts";
import { headersOf } from "./problem.ts";
import type { RestContext } from "./rest-context.ts";
import type { Procedure } from "./route-table.ts";
import { isClientStream } from "./rules.ts";
import { backendMetadata, type Runtime } from "./runtime.ts";
import { encodeStatusDetails } from "./status-details.ts";

/** Serves one request of the Connect or gRPC-Web protocol. */
export type ConnectServer = (context: RestContext, path: string) => void;

// A caller that asks for more than the route's maximum is capped, not refused; this only bounds nonsense.
const maxTimeoutMs = 24 * 3_600_000;

interface Serving {
  readonly context: RestContext;
  error: EdgeError | undefined;
}

const servingKey = createContextKey<Serving | undefined>(undefined, { description: "the edge's request" });

/** Builds connect-node's handlers for every RPC; each forwards its call by the edge's own client. */
export function createConnectServer(runtime: Runtime): ConnectServer {
  const router = createConnectRouter({
    grpc: false,
    acceptCompression: [compressionGzip, compressionBrotli],
    maxTimeoutMs,
    jsonOptions: {
      registry: runtime.reading.registry,
      ignoreUnknownFields: runtime.options.unknownMembers !== "reject",
      recursionLimit: runtime.limits.maxJsonDepth,
    },
    requestGate: (context) => gate(runtime, context),
  });
  for (const procedure of runtime.table.procedures.values()) route(router, runtime, procedure);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (context, path) => {
    const handler = handlers.get(path);
    const procedure = runtime.table.procedures.get(path);
    if (handler === undefined || procedure === undefined) {
      const error = new EdgeError({
        code: Code.NOT_FOUND,
        reason: "ROUTE_NOT_FOUND",
        message: "there is no such method",
      });
      sendProblem(runtime, context.exchange, context.response, error);
      return;
    }
    context.exchange.matched(procedure, undefined);
    serve(handler, context).catch(() => context.response.destroy());
  };
}

async function serve(handler: UniversalHandler, context: RestContext): Promise<void> {
  const { exchange, request, response } = context;
  const serving: Serving = { context, error: undefined };
  response.on("close", () => settle(serving));
  const values = createContextValues().set(servingKey, serving);
  const universal = universalRequestFromNodeRequest(request, response, undefined, values);
  const answer = await handler(universal);
  for (const [name, value] of Object.entries(exchange.answerHeaders ?? {})) answer.header?.set(name, value);
  await universalResponseToNodeResponse(answer, response);
}

/** connect-node writes its own refusals (bad JSON, bad headers); of those only the HTTP status is known. */
function settle({ context, error }: Serving): void {
  const { exchange, response } = context;
  if (!response.writableEnded) exchange.settle(499, Code.CANCELLED);
  else if (error !== undefined) exchange.settle(response.statusCode, error.code, error);
  else exchange.settle(response.statusCode, response.statusCode === 200 ? Code.OK : undefined);
}

/** Admission before a byte of the message is read. */
async function gate(runtime: Runtime, context: HandlerContext): Promise<void> {
  const serving = servingOf(context);
  try {
    await runtime.options.admit?.(serving.context.exchange as never);
  } catch (thrown) {
    throw refuse(serving, toEdgeError(thrown));
  }
}

function servingOf(context: HandlerContext): Serving {
  const serving = context.values.get(servingKey);
  if (serving === undefined) throw new Error("a handler ran without its request");
  return serving;
}

function route(router: ConnectRouter, runtime: Runtime, procedure: Procedure): void {
  const { method, policy } = procedure;
  if (isClientStream(method)) return;
  const options = { readMaxBytes: policy.maxRequestBytes };
  if (method.methodKind === "server_streaming") {
    router.rpc(
      method,
      ((message: Message, context: HandlerContext) =>
        forwardStream(runtime, procedure, message, context)) as never,
      options,
    );
  } else {
    router.rpc(
      method,
      ((message: Message, context: HandlerContext) =>
        forwardUnary(runtime, procedure, message, context)) as never,
      options,
    );
  }
}

async function forwardUnary(
  runtime: Runtime,
  procedure: Procedure,
  message: Message,
  context: HandlerContext,
): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  let answer: Message | undefined;
  const serving = servingOf(context);
  start(runtime, procedure, message, context, {
    onHeaders: (headers) => copyHeaders(headers, context.responseHeader),
    onMessage: (bytes) => {
      answer = decode(procedure.method, bytes);
    },
    onEnd: (outcome) => {
      copyHeaders(outcome.trailers, context.responseTrailer);
      if (outcome.code === Code.OK && answer !== undefined) resolve(answer);
      else reject(refuse(serving, errorOfOutcome(withMessage(outcome))));
    },
  });
  return promise;
}

function withMessage(outcome: Outcome): Outcome {
  return outcome.code === Code.OK ? { ...outcome, code: Code.INTERNAL, failure: "malformed" } : outcome;
}

async function* forwardStream(
  runtime: Runtime,
  procedure: Procedure,
  message: Message,
  context: HandlerContext,
): AsyncGenerator<Message> {
  const serving = servingOf(context);
  let call: ReturnType<typeof start> | undefined;
  const queue: MessageQueue = createMessageQueue({
    pause: () => call?.pause(),
    resume: () => call?.resume(),
  });
  call = start(runtime, procedure, message, context, {
    onHeaders: (headers) => copyHeaders(headers, context.responseHeader),
    onMessage: (bytes) => queue.push(bytes),
    onEnd: (outcome) => {
      copyHeaders(outcome.trailers, context.responseTrailer);
      queue.end(outcome.code === Code.OK ? undefined : refuse(serving, errorOfOutcome(outcome)));
    },
  });
  try {
    for await (const bytes of queue.messages()) yield decode(procedure.method, bytes);
  } finally {
    call.cancel();
  }
}

function start(
  runtime: Runtime,
  procedure: Procedure,
  message: Message,
  context: HandlerContext,
  listener: CallListener,
) {
  const serving = servingOf(context);
  const { exchange } = serving.context;
  const bytes = toBinary(procedure.method.input, message);
  exchange.requestBytes = bytes.length;
  const call = choose(serving, procedure, bytes).call(
    {
      path: procedure.path,
      metadata: backendMetadata(runtime, exchange),
      message: bytes,
      timeoutMs: Math.min(context.timeoutMs() ?? Number.POSITIVE_INFINITY, procedure.policy.maxTimeoutMs),
      maxResponseBytes: runtime.limits.maxResponseBytes,
      retryable: procedure.policy.retryable,
    },
    listener,
  );
  context.signal.addEventListener("abort", () => call.cancel());
  return call;
}

function choose(serving: Serving, { destination }: Procedure, message: Uint8Array): Callee {
  try {
    return destinationOf(destination, message);
  } catch (thrown) {
    throw refuse(serving, toEdgeError(thrown));
  }
}

function decode(method: DescMethod, bytes: Uint8Array): Message {
  try {
    return fromBinary(method.output, bytes);
  } catch {
    return create(method.output);
  }
}

function copyHeaders(from: Outcome["headers"], to: Headers): void {
  for (const [name, value] of Object.entries(from)) {
    if (/^(?::|grpc-|connect-|content-|date$|transfer-encoding$)/.test(name) || value === undefined) continue;
    for (const item of typeof value === "object" ? value : [value]) to.append(name, item);
  }
}

/** The protocol's form of an error, with the same details gRPC callers get. */
function refuse(serving: Serving, error: EdgeError): ConnectError {
  serving.error = error;
  const text = isInternalCode(error.code) ? "internal error" : error.message;
  const refused = new ConnectError(text, error.code as ConnectCode, headersOf(error));
  for (const { typeUrl, value } of fromBinary(StatusSchema, encodeStatusDetails(error)).details) {
    refused.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value });
  }
  return refused;
}
