import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import { compileAnswer } from "../codec/answer-json.ts";
import { jsonText } from "../json/json-text.ts";
import type { Fields } from "../routing/field-path.ts";
import { answerInvalid } from "../rpc/message-codec.ts";

/** A response message in its REST form. */
export interface EncodedResponse {
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** Turns an encoded message into its REST form. */
export type ResponseEncoder = (message: Uint8Array) => EncodedResponse;

/** How a route shows its responses. */
export interface ResponseShape {
  readonly output: DescMessage;
  /** The one field shown (R3), or undefined for the whole message. */
  readonly field: DescField | undefined;
  readonly emitDefaults: boolean;
  readonly registry: Registry;
}

/** Whether answers may carry extensions, which come as unknown fields. */
function hasExtensions(registry: Registry): boolean {
  for (const type of registry) {
    if (type.kind === "extension" && !type.extendee.typeName.startsWith("google.protobuf.")) return true;
  }
  return false;
}

/** Compiles the REST form of a route's responses (R1 to R5); the encoder throws an EdgeError for bytes that are no such message. */
export function createResponseEncoder(shape: ResponseShape): ResponseEncoder {
  const { field } = shape;
  const decode = decoderOf(shape);
  if (field === undefined ? isHttpBody(shape.output) : holdsHttpBody(field)) {
    return (bytes) => encodeRaw(field === undefined ? decode(bytes) : bodyField(field, decode(bytes)));
  }
  const quick = field === undefined && compileAnswer(shape.output, shape.emitDefaults, shape.registry);
  const encode = createMessageEncoder(shape);
  if (!quick) return encode;
  return (bytes) => {
    const json = quick(bytes);
    return json === undefined ? encode(bytes) : { contentType: "application/json", bytes: json };
  };
}

/** The way over a message object, which knows every case. */
export function createMessageEncoder(shape: ResponseShape): ResponseEncoder {
  const { field } = shape;
  const decode = decoderOf(shape);
  const options = { alwaysEmitImplicit: shape.emitDefaults, registry: shape.registry };
  const unset = field === undefined ? undefined : unsetValue(shape, field);
  return (bytes) => {
    const json = toJsonChecked(shape.output, decode(bytes), options);
    const shown = field === undefined ? json : (json as Record<string, JsonValue>)[field.jsonName];
    return { contentType: "application/json", bytes: Buffer.from(jsonText(shown ?? unset ?? null)) };
  };
}

function decoderOf({ output, registry }: ResponseShape): (bytes: Uint8Array) => Fields {
  const readUnknownFields = hasExtensions(registry);
  return (bytes) => decodeChecked(output, bytes, readUnknownFields);
}

/** Whether a message is google.api.HttpBody, whose bytes are the body itself. */
export function isHttpBody(message: DescMessage | undefined): boolean {
  return message?.typeName === "google.api.HttpBody";
}

/** Whether a field is one google.api.HttpBody. */
export function holdsHttpBody(field: DescField): boolean {
  return field.fieldKind === "message" && isHttpBody(field.message);
}

function decodeChecked(output: DescMessage, bytes: Uint8Array, readUnknownFields: boolean): Fields {
  try {
    return fromBinary(output, bytes, { readUnknownFields }) as unknown as Fields;
  } catch (cause) {
    throw answerInvalid(cause);
  }
}

function toJsonChecked(
  desc: DescMessage,
  message: Fields,
  options: { alwaysEmitImplicit: boolean; registry: Registry },
): JsonValue {
  try {
    return toJson(desc, message as never, options) as JsonValue;
  } catch (cause) {
    throw answerInvalid(cause);
  }
}

function bodyField(field: DescField, message: Fields): Fields {
  if (field.oneof === undefined) return (message[field.localName] as Fields | undefined) ?? {};
  const chosen = message[field.oneof.localName] as { case?: string; value?: Fields };
  return chosen.case === field.localName ? (chosen.value ?? {}) : {};
}

function encodeRaw(body: Fields): EncodedResponse {
  const contentType = (body.contentType as string | undefined) || "application/octet-stream";
  const data = (body.data as Uint8Array | undefined) ?? new Uint8Array();
  const safeType = /^[\t\x20-\x7e]+$/.test(contentType) ? contentType : "application/octet-stream";
  return { contentType: safeType, bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
}

/** What a field without presence shows when it is not there: its default, `[]` or `{}` (R3). */
function unsetValue({ output }: ResponseShape, field: DescField): JsonValue | undefined {
  const empty = toJson(output, create(output), { alwaysEmitImplicit: true }) as Record<string, JsonValue>;
  return empty[field.jsonName];
}
