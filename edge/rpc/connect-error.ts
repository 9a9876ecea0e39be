import { fromBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import type { EdgeError } from "../edge-error.ts";
import { codeName } from "../grpc/grpc-code.ts";
import { encodeStatusDetails } from "../grpc/status-details.ts";

/** The Connect protocol's JSON form of an error. */
export interface ConnectErrorJson {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

// As the Connect protocol maps codes; REST's table (X1) agrees but for details that matter to its own callers.
const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The HTTP status of a unary Connect error. */
export function connectStatusOf(error: EdgeError): number {
  return httpStatuses[error.code] ?? 500;
}

/** Writes an error as Connect callers read it, with the details that gRPC callers get. */
export function connectErrorOf(error: EdgeError, text: string): ConnectErrorJson {
  // Connect spells it with one l.
  const code = codeName(error.code).toLowerCase().replace("cancelled", "canceled");
  const details = fromBinary(StatusSchema, encodeStatusDetails(error)).details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
  }));
  return { code, ...(text !== "" && { message: text }), ...(details.length > 0 && { details }) };
}
