import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GetBookRequestSchema } from "#gen/edge/testing/v1/library_pb.ts";
import {
  clientPreface,
  converse,
  endHeaders,
  endStream,
  type Frame,
  frame,
  framesOf,
  frameType,
  requestHeaders,
} from "./raw-http2.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

const maxRequestBytes = 10_000;
let shop: TestEdge;

beforeAll(async () => {
  shop = await startTestEdge({ limits: { maxRequestBytes } });
});
afterAll(() => shop.stop());

const patienceMs = 15_000;
const rpcPath = (method: string) => `/edge.testing.v1.LibraryService/${method}`;
const getBook = toBinary(GetBookRequestSchema, create(GetBookRequestSchema, { id: "a" }));

function envelope(message: Uint8Array, sizeBytes = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(sizeBytes, 1);
  return Buffer.concat([prefix, message]);
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly accept?: string;
  readonly body?: Uint8Array;
  /** What the head says of the body's length, where that is not the truth: the rest of the body never comes. */
  readonly promisedBytes?: number;
}

/** Sends one request and hangs up when `isEnough`. */
async function ask(asked: Asked, isEnough: (frames: readonly Frame[]) => boolean): Promise<readonly Frame[]> {
  const { method, path, type, accept, body, promisedBytes } = asked;
  const headers: [string, string][] = [];
  if (type !== undefined) headers.push(["content-type", type]);
  if (accept !== undefined) headers.push(["accept", accept]);
  if (promisedBytes !== undefined) headers.push(["content-length", String(promisedBytes)]);
  const block = requestHeaders(method, path, headers);
  const { frames, closedByPeer } = await converse(
    shop.port,
    (socket) => {
      let seen = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        if (isEnough(framesOf(seen))) socket.destroy();
      });
      socket.write(clientPreface);
      socket.write(frame(frameType.headers, endHeaders | (body === undefined ? endStream : 0), 1, block));
      if (body !== undefined)
        socket.write(frame(frameType.data, promisedBytes === undefined ? endStream : 0, 1, body));
    },
    patienceMs,
  );
  expect(closedByPeer).toBe(true);
  return frames.filter(({ streamId }) => streamId === 1);
}

const ends = ({ type, flags }: Frame) =>
  (type === frameType.data || type === frameType.headers) && (flags & endStream) !== 0;

const whole: readonly (readonly [string, Asked])[] = [
  ["an answer of REST", { method: "GET", path: "/v1/books/a" }],
  ["a problem", { method: "GET", path: "/v1/nothing" }],
  ["an array", { method: "GET", path: "/v1/shelves/a/notes:follow?count=1", accept: "application/json" }],
  [
    "a unary Connect call",
    { method: "POST", path: rpcPath("GetBook"), type: "application/proto", body: getBook },
  ],
  [
    "a Connect stream",
    {
      method: "POST",
      path: rpcPath("WatchBooks"),
      type: "application/connect+proto",
      body: envelope(new Uint8Array()),
    },
  ],
  [
    "gRPC-Web",
    { method: "POST", path: rpcPath("GetBook"), type: "application/grpc-web+proto", body: envelope(getBook) },
  ],
];

const cutShort = { body: Buffer.alloc(5_000), promisedBytes: 200_000 } as const;
const tooLarge: readonly (readonly [string, Asked])[] = [
  ["REST", { method: "POST", path: "/v1/books", type: "application/json", ...cutShort }],
  ["unary Connect", { method: "POST", path: rpcPath("CreateBook"), type: "application/proto", ...cutShort }],
  [
    "a Connect stream",
    {
      method: "POST",
      path: rpcPath("WatchBooks"),
      type: "application/connect+proto",
      ...cutShort,
      body: envelope(cutShort.body, 199_995),
    },
  ],
  [
    "gRPC-Web",
    {
      method: "POST",
      path: rpcPath("GetBook"),
      type: "application/grpc-web+proto",
      ...cutShort,
      body: envelope(cutShort.body, 199_995),
    },
  ],
];

const refusals = tooLarge.map(([what, asked]): [string, Asked] => [
  `a refusal of a body over ${what}`,
  asked,
]);

// A caller who has read all of an answer may stop its body short, as Go's does; were the stream still open, it would be reset for
// a content-length that was not kept, and the answer with it.
test.each([...refusals, ...whole])(
  "%s ends its stream in the frame of its last byte",
  async (_what, asked) => {
    const frames = await ask(asked, (seen) => seen.some(ends));
    const bodies = frames.filter(({ type, payload }) => type === frameType.data && payload.length > 0);
    expect(bodies.map(ends)).toEqual([...Array.from({ length: bodies.length - 1 }, () => false), true]);
  },
);

const passed: [string, Asked] = [
  "gRPC",
  {
    method: "POST",
    path: rpcPath("GetBook"),
    type: "application/grpc",
    ...cutShort,
    body: envelope(cutShort.body, 199_995),
  },
];

test.each([...tooLarge, passed])(
  "a body over %s that is refused and keeps its stream open is cut off",
  async (_what, asked) => {
    const frames = await ask(asked, (seen) => seen.some(({ type }) => type === frameType.reset));
    const reset = frames.find(({ type }) => type === frameType.reset);
    expect([frames.some(ends), reset?.payload.readUInt32BE(0)]).toEqual([true, 0]);
  },
);
