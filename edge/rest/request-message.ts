import { isUtf8 } from "node:buffer";
import { create, type DescField, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { badRequest, EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import { messageFromJson, parseJsonText } from "../json/json-message.ts";
import type { JsonReading } from "../json/json-settle.ts";
import { derivableMask, mentionedPaths } from "../routing/field-mask.ts";
import { type FieldPath, type Fields, putIn, valueIn } from "../routing/field-path.ts";
import { captureText } from "../routing/path-value.ts";
import { claimOneofs, parseField, putLeaf, type QueryReader } from "../routing/query.ts";
import type { TextParser } from "../routing/scalar-text.ts";
import type { Variable } from "../routing/template.ts";

/** A path variable with the field it fills. */
export interface PathBinding {
  readonly variable: Variable;
  readonly path: FieldPath;
  readonly parse: TextParser;
}

/** How a route makes its request message. */
export interface RequestShape {
  readonly input: DescMessage;
  readonly pathBindings: readonly PathBinding[];
  readonly readQuery: QueryReader;
  /** `*`, a top-level field, or undefined for none. */
  readonly body: "*" | DescField | undefined;
  /** The body is a google.api.HttpBody: raw bytes, not JSON. */
  readonly rawBody: boolean;
  /** Whether a PATCH derives its field mask from the body (B11). */
  readonly derivesMask: boolean;
  /** One pass over the JSON, where the route admits it. */
  readonly quick: ((parts: RequestParts, maxDepth: number) => Uint8Array | undefined) | undefined;
}

/** The parts of a request that its message is made of. */
export interface RequestParts {
  readonly segments: readonly string[];
  /** The raw query without `?`. */
  readonly query: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/** Makes the encoded request message from path, query and body; throws {@link EdgeError}s (400, 415). */
export function encodeRequest(shape: RequestShape, parts: RequestParts, reading: JsonReading): Uint8Array {
  return shape.quick?.(parts, reading.maxDepth) ?? encodeByMessage(shape, parts, reading);
}

/** The way over a message object, which knows every case and names every fault. */
export function encodeByMessage(shape: RequestShape, parts: RequestParts, reading: JsonReading): Uint8Array {
  const oneofs = new Map<string, string>();
  const message = readBodyInto(shape, parts, reading, oneofs);
  for (const binding of shape.pathBindings) bindPath(binding, parts.segments, message, oneofs);
  if (parts.query !== "") shape.readQuery(parts.query, message.fields, oneofs);
  if (message.mentioned !== undefined) fillMask(shape.input, message.fields, message.mentioned);
  try {
    return toBinary(shape.input, message.fields as never);
  } catch (error) {
    // Only a required field of proto2 can still be missing here.
    throw badRequest("INVALID_VALUE", (error as Error).message.slice(0, 160));
  }
}

interface Draft {
  readonly fields: Fields;
  /** Paths a PATCH body mentions, where its mask may be derived from them. */
  readonly mentioned: readonly string[] | undefined;
}

function readBodyInto(
  shape: RequestShape,
  parts: RequestParts,
  reading: JsonReading,
  oneofs: Map<string, string>,
): Draft {
  const { body, input } = shape;
  if (body === undefined || (parts.body.length === 0 && !shape.rawBody)) {
    return { fields: create(input) as unknown as Fields, mentioned: undefined };
  }
  if (shape.rawBody) return { fields: rawMessage(input, body, parts), mentioned: undefined };
  checkJsonType(parts.contentType);
  const json = parseJsonText(bodyText(parts.body), reading.maxDepth);
  if (body === "*") return { fields: messageFromJson(input, json, reading), mentioned: undefined };
  if (body.oneof !== undefined && json !== null) oneofs.set(body.oneof.name, body.name);
  const fields = messageFromJson(input, { [body.jsonName]: json }, reading);
  const mentioned =
    shape.derivesMask && body.message !== undefined ? mentionedPaths(body.message, json) : undefined;
  return { fields, mentioned };
}

function bindPath(
  { variable, path, parse }: PathBinding,
  segments: readonly string[],
  message: Draft,
  oneofs: Map<string, string>,
): void {
  const text = captureText(variable, segments, path.jsonPath);
  claimOneofs(path, oneofs);
  putLeaf(path, message.fields, parseField(parse, text, path.jsonPath));
}

/** An explicit mask, from wherever it came, wins over the derived one (B12). */
function fillMask(input: DescMessage, fields: Fields, mentioned: readonly string[]): void {
  const mask = derivableMask(input);
  if (mask === undefined) return;
  const present = valueIn(fields, mask) as { paths: string[] } | undefined;
  if (present !== undefined && present.paths.length > 0) return;
  putIn(fields, mask, Object.assign(create(mask.message), { paths: [...mentioned] }));
}

function rawMessage(input: DescMessage, body: "*" | DescField, parts: RequestParts): Fields {
  const message = create(input) as unknown as Fields;
  const bytes = { contentType: parts.contentType ?? "", data: parts.body };
  if (body === "*") Object.assign(message, bytes);
  else if (body.message !== undefined) putIn(message, body, Object.assign(create(body.message), bytes));
  return message;
}

function bodyText(body: Buffer): string {
  if (!isUtf8(body)) throw badRequest("INVALID_JSON", "the body is not UTF-8");
  return body.toString("utf8");
}

const jsonType = /^application\/(?:json|[-\w.]+\+json)\s*(?:;|$)/i;
const jsonStreamType = /^application\/(?:json|[-\w.]+\+json|x-ndjson|ndjson|x-jsonlines|jsonl)\s*(?:;|$)/i;
const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** A body without a type is taken as JSON; any other type but JSON in UTF-8 is refused (B9, 415). */
function checkJsonType(contentType: string | undefined): void {
  if (contentType !== "application/json") checkType(contentType, jsonType);
}

/** The same for a caller's stream, which may call itself lines of JSON. */
export function checkJsonStreamType(contentType: string | undefined): void {
  checkType(contentType, jsonStreamType);
}

function checkType(contentType: string | undefined, admitted: RegExp): void {
  if (contentType === undefined || contentType === "") return;
  const set = charset.exec(contentType)?.[1]?.toLowerCase();
  if (admitted.test(contentType) && (set === undefined || set === "utf-8" || set === "utf8")) return;
  throw new EdgeError({
    code: Code.INVALID_ARGUMENT,
    httpStatus: 415,
    reason: "UNSUPPORTED_MEDIA_TYPE",
    message: "the body must be application/json in UTF-8",
    headers: { accept: "application/json" },
  });
}
