import { isUtf8 } from "node:buffer";
import { type DescMethod, fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import { badRequest, EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import { messageFromJson, parseJsonText } from "../json/json-message.ts";
import type { JsonReading } from "../json/json-settle.ts";
import { jsonText } from "../json/json-text.ts";

/** Messages of an RPC between a caller's form and protobuf. */
export interface MessageCodec {
  /** A caller's message as protobuf; throws an {@link EdgeError} (INVALID_ARGUMENT). */
  request(bytes: Buffer): Uint8Array;
  /** A backend's message in the caller's form; throws an {@link EdgeError} for bytes that are no such message. */
  response(bytes: Buffer): Buffer;
}

/** Protobuf passes undecoded: the backend itself answers what it cannot read. */
export const protobufCodec: MessageCodec = {
  request: (bytes) => bytes,
  response: (bytes) => bytes,
};

/** ProtoJSON, read as strictly as on REST and written without default values, as Connect has it. */
export function createJsonCodec({ input, output }: DescMethod, reading: JsonReading): MessageCodec {
  const { registry } = reading;
  return {
    request(bytes) {
      if (!isUtf8(bytes)) throw badRequest("INVALID_JSON", "the message is not UTF-8");
      // An empty body is an empty message in Connect's JSON too.
      const text = bytes.length === 0 ? "{}" : bytes.toString("utf8");
      return toBinary(input, messageFromJson(input, parseJsonText(text, reading.maxDepth), reading) as never);
    },
    response(bytes) {
      try {
        return Buffer.from(jsonText(toJson(output, fromBinary(output, bytes), { registry })));
      } catch (cause) {
        throw answerInvalid(cause);
      }
    },
  };
}

/** Refuses a backend's answer that is not what its contract says. */
export function answerInvalid(cause: unknown): EdgeError {
  return new EdgeError({
    code: Code.INTERNAL,
    httpStatus: 502,
    reason: "BACKEND_ANSWER_INVALID",
    message: "the backend's answer could not be read",
    cause,
  });
}
