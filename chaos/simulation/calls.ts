// Calls between processes over a network that loses, repeats, delays and reorders them.
import { create, type DescMethod, type DescService, fromBinary } from "@bufbuild/protobuf";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { fromStatus, serviceError, toStatus } from "#kit/errors/errors.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import type { Client } from "#kit/rpc/client.ts";
import type { RpcService, UnaryHandler } from "#kit/rpc/rpc.ts";
import { type Process, unavailable, type World } from "./world.ts";

/** A process of a service, and what it is wired to. */
export interface Running {
  readonly process: Process;
  readonly db: Database;
  readonly rpc: RpcService;
  readonly consumers: readonly Consumer[];
}

/** Where a service answers: its process of the moment, if there is one. */
export interface Address {
  /** Whether the network reaches it now. */
  readonly isReachable: () => boolean;
  running: Running | undefined;
}

/** Who calls, and how long it waits. */
export interface CallOptions {
  readonly idempotencyKey?: string;
  readonly timeoutMs: number;
  readonly correlationId: string;
  readonly subject?: string;
}

interface Request {
  readonly method: DescMethod;
  readonly message: unknown;
  readonly options: CallOptions;
}

type Settle = (settle: () => void) => void;

/** How long requests may wander about, longest last: beyond an attempt, a step's budget, a whole order. */
const detoursMs = [50, 3_000, 20_000, 90_000] as const;
const detour = (choice: number) => detoursMs[choice % detoursMs.length] ?? 0;

/** A client of a service as one process has it. */
export function connectClient<S extends DescService>(
  world: World,
  caller: Process,
  descriptor: S,
  address: Address,
): Client<S> {
  const methods = descriptor.methods.map((method) => [
    method.localName,
    (message: unknown, options: ClientOptions) =>
      call(world, caller, address, { method, message, options: withDeadline(options) }),
  ]);
  return Object.fromEntries(methods);
}

/** A saga says how long it waits; a handler hands its own call's deadline on. */
type ClientOptions = CallOptions | { readonly call: Call };

const withDeadline = (options: ClientOptions): CallOptions =>
  "call" in options
    ? { timeoutMs: options.call.deadline.remainingMs(), correlationId: options.call.correlationId }
    : options;

/** One call: its answer, or what the caller believes when there is none. */
export function call(world: World, caller: Process, address: Address, request: Request): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle: Settle = (run) => {
      if (settled) return;
      settled = true;
      world.inProcess(caller, 1, run);
    };
    const arrive = (delayMs: number, replyDelayMs: number | undefined) =>
      world.after(delayMs, () => serve(world, address, request, replyDelayMs, { settle, resolve, reject }));
    world.after(request.options.timeoutMs, () => settle(() => reject(timedOut())));
    const refuse = () => settle(() => reject(unavailable()));
    const choice = world.draw();
    if (address.isReachable()) send(choice, arrive, refuse);
    else strand(choice, arrive, refuse);
  });
}

type Arrive = (delayMs: number, replyDelayMs: number | undefined) => void;

/** Seven in ten arrive once, and so do their answers. */
function send(choice: number, arrive: Arrive, refuse: () => void): void {
  const usualMs = 1 + (choice % 20);
  if (choice < 700) arrive(usualMs, usualMs);
  else if (choice < 750) return;
  else if (choice < 800) arrive(usualMs, undefined);
  else if (choice < 880) {
    arrive(usualMs, usualMs);
    arrive(detour(choice), usualMs);
  } else if (choice < 940) arrive(detour(choice), usualMs);
  else if (choice < 970) refuse();
  else arrive(usualMs, detour(choice));
}

/** To a service that is away: refused, lost, or underway for so long that somebody may be back. */
function strand(choice: number, arrive: Arrive, refuse: () => void): void {
  if (choice < 400) refuse();
  else if (choice >= 600) arrive(detour(choice), undefined);
}

interface Waiting {
  readonly settle: Settle;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

async function serve(
  world: World,
  { running }: Address,
  { method, message, options }: Request,
  replyDelayMs: number | undefined,
  { settle, resolve, reject }: Waiting,
) {
  if (!running) return settle(() => reject(unavailable()));
  const { process, rpc } = running;
  const reply = (run: () => void) => {
    if (replyDelayMs !== undefined) world.after(replyDelayMs, () => settle(run));
  };
  const hangUp = () => reply(() => reject(unavailable()));
  process.callers.add(hangUp);
  const handler = rpc.handlers[method.localName] as UnaryHandler;
  // Not awaited: the handler goes on when the world does.
  void Promise.resolve()
    .then(() => handler(create(method.input, message as Fields) as never, toCall(world, method, options)))
    .then(
      (answer) => reply(() => resolve(toMessage(method, answer))),
      (error: unknown) => reply(() => reject(fromStatus(toStatus(error)))),
    )
    .finally(() => process.callers.delete(hangUp));
}

type Fields = Record<string, unknown>;

const toMessage = (method: DescMethod, answer: unknown) =>
  answer instanceof Uint8Array ? fromBinary(method.output, answer) : create(method.output, answer as Fields);

const never = new AbortController().signal;

function toCall(world: World, method: DescMethod, options: CallOptions): Call {
  const atMs = world.nowMs + options.timeoutMs;
  const subject = options.subject ?? "orders";
  return {
    method,
    principal: { subject, clientId: subject, scopes: new Set(), roles: new Set() },
    token: undefined,
    idempotencyKey: options.idempotencyKey,
    correlationId: options.correlationId,
    traceparent: undefined,
    deadline: { atMs, remainingMs: () => Math.max(0, atMs - world.nowMs) },
    signal: never,
    metadata: () => undefined,
    setResponseMetadata: () => {},
  };
}

const timedOut = () =>
  serviceError(ErrorReasonSchema, ErrorReason.DEADLINE_EXCEEDED, "The call did not end in its time.");
