import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { badRequest, type EdgeError, toEdgeError } from "../edge-error.ts";
import type { Exchange } from "../exchange.ts";
import { errorOfOutcome } from "../grpc/error-reasons.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Match } from "../routing/matcher.ts";
import type { RestRoute } from "../routing/route-table.ts";
import { isClientStream } from "../routing/rules.ts";
import type { Runtime } from "../runtime.ts";
import { destinationOf } from "../upstream/backend-choice.ts";
import type { Call, CallListener, Outcome } from "../upstream/call.ts";
import { problemFor } from "./answer.ts";
import { tooSlow } from "./request-body.ts";
import { encodeRequest, type RequestShape } from "./request-message.ts";
import { isHttpBody } from "./response-message.ts";
import { callRequestFor } from "./rest-call.ts";

/** A handshake that has been routed. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly match: Match<RestRoute>;
  /** The raw query without `?`. */
  readonly query: string;
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

const noBytes = Buffer.alloc(0);
// 4000 to 4999 are free for applications: the gRPC status of what ended the call is added.
const failedWith = 4_000;

/**
 * One RPC over one WebSocket. Each frame of the caller is a message (the body its route maps, or the whole message where it maps
 * none), an empty frame ends them; each frame of the edge is a message, and after a failure a last one, `{"error":problem}`.
 */
export class SocketCall implements CallListener {
  readonly #runtime: Runtime;
  readonly #upgrade: Upgrade;
  readonly #webSocket: WebSocket;
  readonly #frameShape: RequestShape;
  readonly #callerStreams: boolean;
  readonly #heartbeat: NodeJS.Timeout;
  #call: Call | undefined;
  #late: NodeJS.Timeout | undefined;
  #alive = true;
  #callerEnded = false;
  #over = false;

  constructor(runtime: Runtime, upgrade: Upgrade, webSocket: WebSocket) {
    const { entry } = upgrade.match;
    this.#runtime = runtime;
    this.#upgrade = upgrade;
    this.#webSocket = webSocket;
    this.#callerStreams = isClientStream(entry.method);
    this.#frameShape = this.#callerStreams ? wholeShape(entry.shape) : entry.shape;
    this.#heartbeat = setInterval(() => this.#beat(), runtime.limits.heartbeatMs);
    webSocket.on("message", (data) => this.#guarded(() => this.#onFrame(bytesOf(data))));
    webSocket.on("pong", () => {
      this.#alive = true;
    });
    // Broken and over-long frames: ws has closed the connection with the code that says so.
    webSocket.on("error", () => undefined);
    webSocket.on("close", () => this.#onClose());
    upgrade.socket.on("drain", () => this.#call?.resume());
  }

  /** Opens the call as far as it is known without a frame. */
  start(): void {
    this.#guarded(() => {
      const { shape, procedure } = this.#upgrade.match.entry;
      if (this.#callerStreams) {
        if (!("choose" in procedure.destination)) this.#open(undefined);
      } else if (shape.body === undefined) this.#open(this.#encode(noBytes));
      if (this.#call !== undefined) return;
      const { requestTimeoutMs } = this.#runtime.limits;
      this.#late = setTimeout(() => this.#fail(tooSlow()), requestTimeoutMs);
    });
  }

  /** Ends it because the edge is about to. */
  goAway(): void {
    this.#over = true;
    this.#call?.cancel();
    this.#webSocket.close(1001);
  }

  onMessage(message: Buffer): void {
    if (this.#over) return;
    this.#guarded(() => {
      const { entry } = this.#upgrade.match;
      this.#say(entry.encode(message).bytes, entry.rawResponse);
      if (this.#upgrade.socket.writableNeedDrain) this.#call?.pause();
    });
  }

  onDrain(): void {
    this.#webSocket.resume();
  }

  onEnd(outcome: Outcome): void {
    if (this.#over || outcome.failure === "cancelled") return;
    if (outcome.code !== Code.OK) {
      this.#fail(errorOfOutcome(outcome, this.#runtime.options.internalErrors));
      return;
    }
    this.#over = true;
    this.#webSocket.close(1000);
    this.#upgrade.exchange.settle(101, Code.OK);
  }

  #onFrame(frame: Buffer): void {
    this.#upgrade.exchange.requestBytes += frame.length;
    if (this.#callerEnded || (this.#call !== undefined && !this.#callerStreams)) {
      throw badRequest("UNEXPECTED_MESSAGE", "no further message is due");
    }
    if (frame.length === 0 && this.#callerStreams) {
      this.#callerEnded = true;
      (this.#call ?? this.#open(undefined)).end();
      return;
    }
    const message = this.#encode(frame);
    if (!this.#callerStreams) this.#open(message);
    else if (!(this.#call ?? this.#open(undefined, message)).send(message)) this.#webSocket.pause();
  }

  #encode(body: Buffer): Uint8Array {
    const { match, query, request } = this.#upgrade;
    const contentType = this.#frameShape.rawBody ? request.headers["content-type"] : undefined;
    return encodeRequest(
      this.#frameShape,
      { segments: match.segments, query, contentType, body },
      this.#runtime.reading,
    );
  }

  /** Opens the call: with its one message, or for messages to follow, of which the first may choose the backend. */
  #open(message: Uint8Array | undefined, first: Uint8Array = message ?? noBytes): Call {
    const { match, exchange } = this.#upgrade;
    const callee = destinationOf(match.entry.procedure.destination, first);
    clearTimeout(this.#late);
    const context = { runtime: this.#runtime, exchange };
    this.#call = callee.call(callRequestFor(context, match.entry, message), this);
    return this.#call;
  }

  #say(bytes: Buffer | string, binary: boolean): void {
    this.#upgrade.exchange.responseBytes += bytes.length;
    this.#webSocket.send(bytes, { binary });
  }

  #beat(): void {
    if (!this.#alive) this.#webSocket.terminate();
    this.#alive = false;
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
  }

  #guarded(step: () => void): void {
    if (this.#over) return;
    try {
      step();
    } catch (error) {
      this.#fail(toEdgeError(error));
    }
  }

  #fail(error: EdgeError): void {
    if (this.#over) return;
    this.#over = true;
    this.#call?.cancel();
    const { exchange } = this.#upgrade;
    this.#say(JSON.stringify({ error: problemFor(this.#runtime, exchange, error) }), false);
    this.#webSocket.close(failedWith + (error.code > 16 ? Code.UNKNOWN : error.code));
    exchange.settle(101, error.code, error);
  }

  #onClose(): void {
    this.#over = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#late);
    this.#call?.cancel();
    this.#upgrade.exchange.settle(101, Code.CANCELLED);
  }
}

/** The shape of a caller's frames: a route without a body, such as GET, leaves them the whole message. */
function wholeShape(shape: RequestShape): RequestShape {
  return shape.body === undefined ? { ...shape, body: "*", rawBody: isHttpBody(shape.input) } : shape;
}

function bytesOf(data: WebSocket.RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
