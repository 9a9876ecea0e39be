// gRPC by hand over HTTP/2, for what no client library would send.
import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { createRegistry, fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import { allowed } from "./inventory.ts";

/** How a raw call ended. */
export interface RawOutcome {
  /** gRPC code; NaN where the stream was reset. */
  readonly code: number;
  /** Reason of the ErrorInfo, if there is one. */
  readonly reason: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** HTTP/2 error code of a reset; 0 without one. */
  readonly resetCode: number;
}

/** What to send. */
export interface RawRequest {
  /** Default: GetStock of the inventory. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes as they are; use {@link frame} for whole messages. */
  readonly body: Uint8Array;
  /** Leaves the request open after the body. */
  readonly unfinished?: boolean;
  /** Cuts the connection. */
  readonly signal?: AbortSignal;
}

/** A message as gRPC frames it; `declared` lies about the length. */
export function frame(message: Uint8Array, { compressed = 0, declared = message.length } = {}): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(declared, 1);
  return Buffer.concat([head, message]);
}

/** Calls a method by hand and tells how it ended. */
export async function rawCall(url: string, request: RawRequest): Promise<RawOutcome> {
  const session = connect(url);
  try {
    await once(session, "remoteSettings");
    const stream = session.request({
      ":method": "POST",
      ":path": request.path ?? "/souk.inventory.v1.InventoryService/GetStock",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${allowed}`,
      ...request.headers,
    });
    request.signal?.addEventListener("abort", () => session.destroy());
    stream.write(request.body);
    if (request.unfinished !== true) stream.end();
    return await new Promise<RawOutcome>((resolve, reject) => {
      const headers: IncomingHttpHeaders = {};
      const keep = (more: IncomingHttpHeaders) => void Object.assign(headers, more);
      stream.on("response", keep).on("trailers", keep).resume();
      stream.on("end", () => resolve(outcomeOf(headers, stream.rstCode ?? 0)));
      stream.on("close", () => resolve(outcomeOf(headers, stream.rstCode ?? 0)));
      stream.on("error", () => undefined);
      session.on("error", reject);
    });
  } finally {
    session.destroy();
  }
}

function outcomeOf(headers: IncomingHttpHeaders, resetCode: number): RawOutcome {
  const code = headers["grpc-status"] === undefined ? Number.NaN : Number(headers["grpc-status"]);
  return { code, reason: reasonOf(headers), headers, resetCode };
}

function reasonOf(headers: IncomingHttpHeaders): string | undefined {
  const encoded = headers["grpc-status-details-bin"];
  if (typeof encoded !== "string") return undefined;
  const status = fromBinary(StatusSchema, Buffer.from(encoded, "base64"));
  const info = status.details.map((any) => anyUnpack(any, createRegistry(ErrorInfoSchema))).find(Boolean);
  return info?.$typeName === "google.rpc.ErrorInfo" ? String(Reflect.get(info, "reason")) : undefined;
}
