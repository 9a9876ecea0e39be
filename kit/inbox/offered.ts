import type { JsMsg } from "@nats-io/jetstream";

/** An event as a consumer is offered it: by the stream, from where it was parked, or as a dead letter. */
export interface OfferedEvent {
  readonly stream: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  /** How often it was offered, this time included. */
  readonly deliveries: number;
}

/** More attributes, or longer ones, than any event of ours has. */
const maxHeaders = 32;
const maxHeaderCharacters = 1_000;

/** Header values as text that a database can hold, whoever wrote them. */
export function readHeaders(
  headers: Iterable<[string, string[]]> | undefined,
): Readonly<Record<string, string>> {
  const kept = [...(headers ?? [])].slice(0, maxHeaders);
  return Object.fromEntries(kept.map(([name, values]) => [storable(name), storable(values[0] ?? "")]));
}

/** The event of a stream's message. */
export const toOffered = (message: JsMsg): OfferedEvent => ({
  stream: message.info.stream,
  subject: message.subject,
  headers: readHeaders(message.headers),
  payload: message.data,
  deliveries: message.info.deliveryCount,
});

/** Postgres takes neither NUL nor half a surrogate pair. */
const storable = (text: string) => text.slice(0, maxHeaderCharacters).replaceAll("\0", "�").toWellFormed();
