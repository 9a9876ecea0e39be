import {
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  type Message,
  toJsonString,
} from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { Sensitivity, sensitivity } from "#gen/souk/options/v1/options_pb.ts";

/**
 * An event as JSON for an operator's eyes: without the fields whose contract calls them personal or secret. Empty where the
 * bytes are no such message.
 */
export function eventJson(desc: DescMessage, payload: Uint8Array): string {
  try {
    const message: Message = fromBinary(desc, payload);
    clearSensitive(reflect(desc, message));
    return toJsonString(desc, message);
  } catch {
    return "";
  }
}

function clearSensitive(message: ReflectMessage) {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (getOption(field, sensitivity) !== Sensitivity.UNSPECIFIED) message.clear(field);
    else for (const inner of messagesIn(message, field)) clearSensitive(inner);
  }
}

function messagesIn(message: ReflectMessage, field: DescField): ReflectMessage[] {
  switch (field.fieldKind) {
    case "message":
      return [message.get(field)];
    case "list":
      return [...message.get(field)].filter((item) => isReflectMessage(item));
    case "map":
      return [...message.get(field).values()].filter((item) => isReflectMessage(item));
    default:
      return [];
  }
}
