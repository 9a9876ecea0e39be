import type { IncomingHttpHeaders } from "node:http2";

/** Headers of an answer; several values stay apart. */
export type AnswerHeaders = Record<string, string | string[]>;

/** A backend's metadata without what belongs to its own transport. */
export function metadataOf(headers: IncomingHttpHeaders): AnswerHeaders {
  const metadata: AnswerHeaders = {};
  for (const name in headers) {
    const value = headers[name];
    if (
      value !== undefined &&
      !/^(?::|grpc-|connect-|content-|date$|transfer-encoding$|connection$|keep-alive$|te$|trailer$)/.test(
        name,
      )
    )
      metadata[name] = name.endsWith("-bin") ? unpadded(value) : value;
  }
  return metadata;
}

/** Binary metadata as the protocols ask of senders. */
function unpadded(value: string | string[]): string | string[] {
  return typeof value === "string"
    ? value.replace(/=+$/, "").replaceAll(/=+(?=, ?)/g, "")
    : value.map((item) => item.replace(/=+$/, ""));
}
