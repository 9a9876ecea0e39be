// A TCP proxy in user space: the network between two processes of the shop, which can be slow, stall, break and come back.
// Where several replicas stand behind it, each new connection goes to the next one that answers, as behind a cluster's service.

import { connect, createServer, type Server, type Socket } from "node:net";
import { Direction, type Passage } from "./direction.ts";

/** What is wrong with a link. */
export type LinkTrouble =
  /** Each piece arrives later, by a time between these two. */
  | { readonly kind: "slow"; readonly minMs: number; readonly maxMs: number }
  /** Half open: connections stand, new ones are taken, and nothing moves. */
  | { readonly kind: "stalled" }
  /** Each new connection is reset. */
  | { readonly kind: "refusing" }
  /** What callers say arrives; the first word of the answer breaks the connection. */
  | { readonly kind: "unanswered" }
  /** What is sent at once arrives in crumbs. */
  | { readonly kind: "sliced"; readonly sliceBytes: number };

/** A link between the processes that call and those that answer. */
export interface Link {
  readonly name: string;
  /** Where callers connect. */
  readonly port: number;
  /** Connections that stand now. */
  readonly connections: number;
  /** Makes the link bad, or good again. */
  trouble(trouble: LinkTrouble | undefined): void;
  /** Resets all connections; tells how many. */
  reset(): number;
  close(): Promise<void>;
}

/** What a link joins. */
export interface LinkOptions {
  readonly name: string;
  readonly port: number;
  /** Ports of those who answer. */
  readonly targets: readonly number[];
  /** Draws the lateness of a slow link. */
  readonly random: () => number;
}

interface Pair {
  readonly sockets: readonly Socket[];
  readonly directions: readonly Direction[];
}

/** Opens a link on its port of 127.0.0.1. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const pairs = new Set<Pair>();
  const callers = new Set<Socket>();
  let trouble: LinkTrouble | undefined;
  let turn = 0;
  const passage: Passage = {
    get stalled() {
      return trouble?.kind === "stalled";
    },
    get unanswered() {
      return trouble?.kind === "unanswered";
    },
    get sliceBytes() {
      return trouble?.kind === "sliced" ? trouble.sliceBytes : Number.MAX_SAFE_INTEGER;
    },
    delayMs: () =>
      trouble?.kind === "slow" ? trouble.minMs + options.random() * (trouble.maxMs - trouble.minMs) : 0,
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (caller) => {
    caller.on("error", () => caller.destroy());
    callers.add(caller);
    caller.once("close", () => callers.delete(caller));
    if (trouble?.kind === "refusing") return void caller.resetAndDestroy();
    const order = options.targets.map((_, at) => options.targets[(turn + at) % options.targets.length] ?? 0);
    turn += 1;
    void dial(order).then((answerer) => join(caller, answerer, passage, pairs));
  });
  await listen(server, options.port);
  const reset = () => {
    const count = pairs.size;
    for (const { sockets } of pairs) for (const socket of sockets) socket.resetAndDestroy();
    return count;
  };
  return {
    name: options.name,
    port: (server.address() as { port: number }).port,
    get connections() {
      return pairs.size;
    },
    trouble(next) {
      trouble = next;
      for (const { directions } of pairs) for (const direction of directions) direction.pass();
    },
    reset,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        reset();
        // Of those too that nobody has answered yet.
        for (const caller of callers) caller.destroy();
      }),
  };
}

/** The first target that takes a connection; undefined where none does. */
async function dial(ports: readonly number[]): Promise<Socket | undefined> {
  for (const port of ports) {
    const socket = await dialOne(port);
    if (socket) return socket;
  }
  return undefined;
}

function dialOne(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.on("error", () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

function join(caller: Socket, answerer: Socket | undefined, passage: Passage, pairs: Set<Pair>) {
  if (!answerer) return void caller.resetAndDestroy();
  if (caller.destroyed) return void answerer.resetAndDestroy();
  const sockets = [caller, answerer];
  // Before the direction hears of it: what comes back is lost.
  answerer.on("data", () => {
    if (passage.unanswered) for (const socket of sockets) socket.resetAndDestroy();
  });
  const pair = {
    sockets,
    directions: [new Direction(caller, answerer, passage), new Direction(answerer, caller, passage)],
  };
  pairs.add(pair);
  for (const [socket, other] of [sockets, sockets.toReversed()] as [Socket, Socket][]) {
    socket.on("error", () => other.resetAndDestroy());
    socket.once("close", () => {
      // Whoever closed in good order has sent its end before, which may still be on its way.
      if (!socket.readableEnded) other.resetAndDestroy();
      if (other.closed) pairs.delete(pair);
    });
  }
  caller.resume();
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, resolve);
  });
}
