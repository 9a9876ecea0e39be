import { create, toBinary } from "@bufbuild/protobuf";
import { createEdgeError, type Settled } from "#edge/edge.ts";
import { BookSchema, GetBookRequestSchema } from "#gen/edge/testing/v1/library_pb.ts";
import { type RawAnswer, sendRaw } from "./raw-http.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

/** An edge that takes small messages and turns some callers away, and what became of their calls. */
export async function startRpcEdge(): Promise<{ shop: TestEdge; settled: Settled[] }> {
  const settled: Settled[] = [];
  const shop = await startTestEdge({
    limits: { maxRequestBytes: 10_000 },
    onSettled: (facts) => settled.push(facts),
    admit: (call) => {
      if (call.header("x-banned") !== undefined)
        throw createEdgeError({
          code: 7,
          reason: "BANNED",
          message: "you are banned",
          headers: { "x-why": "banned" },
        });
    },
  });
  return { shop, settled };
}

/** The path of an RPC. */
export const path = (method: string) => `/edge.testing.v1.LibraryService/${method}`;

/** A request for book a, in binary. */
export const getBook = Buffer.from(toBinary(GetBookRequestSchema, create(GetBookRequestSchema, { id: "a" })));

/** Book a. */
export const bookA = create(BookSchema, { id: "a" });

/** A message in an envelope. */
export function frame(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts a body into its envelopes. */
export function framesOf(body: Buffer): { flags: number; bytes: Buffer }[] {
  const frames = [];
  for (let at = 0; at < body.length; ) {
    const size = body.readUInt32BE(at + 1);
    frames.push({ flags: body[at] ?? 0, bytes: body.subarray(at + 5, at + 5 + size) });
    at += 5 + size;
  }
  return frames;
}

/** Posts a body of a type to an RPC's path. */
export const postTo = (
  { port }: TestEdge,
  method: string,
  type: string,
  body: Buffer | string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> =>
  sendRaw(port, {
    method: "POST",
    target: path(method),
    headers: { "content-type": type, ...headers },
    body,
  });
