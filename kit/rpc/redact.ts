import { type DescField, type DescMessage, getOption, type Message } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { Sensitivity, sensitivity } from "#gen/souk/options/v1/options_pb.ts";

/** More of a text or a list says nothing more to whoever reads a log. */
const maxShownCharacters = 200;
const maxShownItems = 10;

// Reading an option decodes it each time.
const sensitivities = new WeakMap<DescField, Sensitivity>();

/**
 * Shows of a message what its contract lets be seen, as plain values for a log line: of a field marked personal or
 * secret, only that it was set.
 */
export function redact(schema: DescMessage, message: Message): Readonly<Record<string, unknown>> {
  return showFields(reflect(schema, message));
}

function showFields(message: ReflectMessage): Record<string, unknown> {
  const set = message.fields.filter((field) => message.isSet(field));
  return Object.fromEntries(set.map((field) => [field.name, showField(message, field)]));
}

function showField(message: ReflectMessage, field: DescField): unknown {
  const kept = sensitivityOf(field);
  if (kept !== Sensitivity.UNSPECIFIED) return kept === Sensitivity.PERSONAL ? "[personal]" : "[secret]";
  switch (field.fieldKind) {
    case "list":
      return showItems([...message.get(field)]);
    case "map":
      return showItems([...message.get(field).entries()]);
    default:
      return showValue(message.get(field));
  }
}

function showItems(items: readonly unknown[]): unknown[] {
  const shown = items.slice(0, maxShownItems).map(showValue);
  return items.length > maxShownItems ? [...shown, `[${items.length - maxShownItems} more]`] : shown;
}

function showValue(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return showText(value);
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.map(showValue);
  return isReflected(value) ? showFields(value) : value;
}

function isReflected(value: unknown): value is ReflectMessage {
  return typeof value === "object" && value !== null && "fields" in value;
}

function showText(text: string): string {
  return text.length > maxShownCharacters ? `${text.slice(0, maxShownCharacters)}…` : text;
}

function sensitivityOf(field: DescField): Sensitivity {
  const known = sensitivities.get(field) ?? getOption(field, sensitivity);
  sensitivities.set(field, known);
  return known;
}
