import {
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** JetStream, past all links. */
export interface Streams {
  readonly manager: JetStreamManager;
  readonly client: JetStreamClient;
}

const connectTimeoutMs = 30_000;

/** Connects to a server, as the user its URL names if any, for the time of `work`. */
export async function withStreams<T>(natsUrl: string, work: (streams: Streams) => Promise<T>): Promise<T> {
  const { host, username, password } = new URL(natsUrl);
  const login = username === "" ? {} : { user: username, pass: password };
  const connection = await connect({ servers: host, ...login, timeout: connectTimeoutMs, reconnect: false });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    return await work({ manager, client: jetstream(connection) });
  } finally {
    await connection.close();
  }
}

/** Names of the streams of the shop's events. */
export async function eventStreams({ manager }: Streams): Promise<string[]> {
  const names: string[] = [];
  for await (const name of manager.streams.names("souk.>")) names.push(name);
  return names.filter((name) => name.startsWith("souk_")).sort();
}

/** A message as a stream holds it. */
export interface StreamMessage {
  readonly subject: string;
  readonly header: (name: string) => string;
  readonly headerNames: readonly string[];
  readonly data: Uint8Array;
}

const readWithinMs = 30_000;

/** Reads a stream from a sequence number on, as far as it goes now. `bare` leaves the payloads out. */
export async function readStream(
  { manager, client }: Streams,
  stream: string,
  { fromSeq = 1, bare = false }: { fromSeq?: number; bare?: boolean } = {},
): Promise<StreamMessage[]> {
  const { state } = await manager.streams.info(stream);
  const first = Math.max(fromSeq, state.first_seq);
  if (state.messages === 0 || first > state.last_seq) return [];
  const consumer = await client.consumers.get(stream, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: first,
    headers_only: bare,
  });
  const found: StreamMessage[] = [];
  const messages = await consumer.consume({ max_messages: 1_000 });
  const timer = setTimeout(() => messages.stop(), readWithinMs);
  for await (const message of messages) {
    found.push({
      subject: message.subject,
      header: (name) => message.headers?.get(name) ?? "",
      headerNames: message.headers?.keys() ?? [],
      data: message.data,
    });
    if (message.seq >= state.last_seq) break;
  }
  clearTimeout(timer);
  return found;
}
