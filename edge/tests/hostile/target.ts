import type { Backend } from "../backend.ts";
import type { EdgeProcess } from "../program-process.ts";
import { exchangeBytes, type RawAnswer } from "../raw-http.ts";
import { requestHeaders } from "../raw-http2.ts";

/** The edge as a process, with what stands behind it: one for all that is sent, never restarted. */
export interface Target {
  readonly port: number;
  readonly edge: EdgeProcess;
  readonly backend: Backend;
  /** File of the descriptors it serves. */
  readonly descriptors: string;
  /** A folder of the tests' own. */
  readonly folder: string;
}

/** Longer than any limit of the target takes to act, on a machine that is busy. */
export const patienceMs = 15_000;

export const path = (method: string): string => `/edge.testing.v1.LibraryService/${method}`;

export const grpcHeaders = (method: string): Buffer =>
  requestHeaders("POST", path(method), [
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]);

/** Sends bytes as they are over HTTP/1.1. */
export const http1 = (target: Target, text: string): Promise<RawAnswer> =>
  exchangeBytes(target.port, Buffer.from(text, "latin1"));
