import type { Problem } from "../options.ts";
import { preferredType } from "./accept.ts";

/** How a stream of messages is written as one HTTP body. */
export interface Framing {
  readonly contentType: string;
  /** What comes before anything else. */
  readonly opening: string;
  message(bytes: Buffer, isFirst: boolean): Buffer | string;
  /** The last thing of a stream that fails later (R10). */
  error(problem: Problem, isFirst: boolean): string;
  /** The last thing of one that ends well. */
  readonly closing: string;
  /** Written while nothing else is; undefined for framings that have no such thing. */
  readonly heartbeat: string | undefined;
}

const lines: Omit<Framing, "contentType"> = {
  opening: "",
  message: (bytes) => `${bytes}\n`,
  error: (problem) => `${JSON.stringify({ error: problem })}\n`,
  closing: "",
  heartbeat: undefined,
};

const events: Framing = {
  contentType: "text/event-stream",
  opening: "",
  message: (bytes) => `data: ${bytes}\n\n`,
  error: (problem) => `event: error\ndata: ${JSON.stringify(problem)}\n\n`,
  closing: "",
  heartbeat: ": \n\n",
};

const array: Framing = {
  contentType: "application/json",
  opening: "[",
  message: (bytes, isFirst) => `${isFirst ? "" : ",\n"}${bytes}`,
  error: (problem, isFirst) => `${isFirst ? "" : ",\n"}${JSON.stringify({ error: problem })}]`,
  closing: "]",
  heartbeat: "\n",
};

/** HttpBody streams are concatenated (R7); a failure inside one can only cut the body off. */
export const rawFraming: Framing = {
  contentType: "application/octet-stream",
  opening: "",
  message: (bytes) => bytes,
  error: () => "",
  closing: "",
  heartbeat: undefined,
};

const framings = new Map<string, Framing>(
  ["application/x-ndjson", "application/ndjson", "application/jsonl"].map((contentType) => [
    contentType,
    { ...lines, contentType },
  ]),
);
framings.set(events.contentType, events);
framings.set(array.contentType, array);
const offers = [...framings.keys()];

/** The framing an Accept header asks for (R6): lines of JSON by default, server-sent events, or one JSON array. */
export function framingFor(accept: string | undefined): Framing {
  return framings.get(preferredType(accept, offers)) ?? events;
}
