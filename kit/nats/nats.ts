/**
 * NATS JetStream, from server 2.9 on: a connection that outlives the server's restarts, one stream per contract package,
 * durable pull consumers. Nothing here knows what an event means; `outbox` publishes and `inbox` consumes.
 */
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { connect, type NatsConnection, type NodeConnectionOptions, nanos } from "@nats-io/transport-node";
import type { NatsLogin } from "#kit/config/config.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { backoffMs, deadlineIn, delay } from "#kit/time/time.ts";

/** A connection to NATS with its JetStream client. */
export interface Nats {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** On how many servers of a cluster the streams made here are kept. */
  readonly streamReplicas: number;
  /** Sends what is under way, then closes; gives up waiting after 5 s. */
  close(): Promise<void>;
}

/**
 * Events are kept this long in their stream: as long as a consumer may be away without losing any. Their size is bounded by
 * the server's `max_file_store`; a limit per stream would be set aside on disk for each stream at once.
 */
const maxAgeMs = 7 * 24 * 60 * 60 * 1_000;
/** The server forgets message ids after this time: the inbox is the guarantee, this only saves work. */
const duplicateWindowMs = 120_000;
/** How long a consumer may work on an event before the server offers it again, in milliseconds. */
const ackWaitMs = 30_000;
/**
 * So often the server offers an event at most. Consumers give up long before; this is for those whose process does not live to do
 * so, and it leaves room for innocents that were in such a process' hands.
 */
const maxDeliver = 50;
const maxAckPending = 1_000;
const closeTimeoutMs = 5_000;
const connectWithinMs = 10_000;
const dialTimeoutMs = 3_000;

/** Connects, waiting up to 10 s for the server; afterwards reconnects for as long as the process lives. */
export async function connectNats(options: {
  readonly url: string;
  readonly name: string;
  readonly log: Logger;
  /** Default nobody, whom a server without users lets in. */
  readonly login?: NatsLogin;
  /** Default 1; a server that is no cluster has no more. */
  readonly streamReplicas?: number;
}): Promise<Nats> {
  const connection = await connectWithin(connectWithinMs, {
    servers: options.url,
    name: options.name,
    ...(options.login?.user && { user: options.login.user, pass: options.login.password?.reveal() ?? "" }),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    timeout: dialTimeoutMs,
    pingInterval: 5_000,
    maxPingOut: 2,
    // Else each publish makes an error in advance, for a stack trace in case it fails.
    noAsyncTraces: true,
  });
  void logStatus(connection, options.log);
  return {
    connection,
    jetstream: jetstream(connection),
    manager: await jetstreamManager(connection, { checkAPI: false }),
    streamReplicas: options.streamReplicas ?? 1,
    close: () => closeWithin(connection),
  };
}

/** The client's own option for this waits without end. */
async function connectWithin(waitMs: number, options: NodeConnectionOptions): Promise<NatsConnection> {
  const deadline = deadlineIn(waitMs);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connect(options);
    } catch (error) {
      if (deadline.remainingMs() === 0) throw error;
    }
    await delay(backoffMs(attempt, { baseMs: 50, maxMs: 500 }));
  }
}

async function logStatus(connection: NatsConnection, log: Logger) {
  for await (const status of connection.status()) {
    if (status.type === "disconnect" || status.type === "reconnect")
      log.info({ nats: status.type }, "NATS connection");
  }
}

async function closeWithin(connection: NatsConnection) {
  const timer = setTimeout(() => void connection.close(), closeTimeoutMs);
  await connection.drain().catch(() => connection.close());
  clearTimeout(timer);
}

/**
 * Creates the stream of a package's events, or leaves it as it is, but for replicas that it lacks. Safe to call from several
 * processes at once.
 */
export async function ensureStream(nats: Nats, stream: { readonly name: string; readonly subjects: string }) {
  const found = await nats.manager.streams.info(stream.name).catch(() => undefined);
  if (found) return await addReplicas(nats, found.config);
  await nats.manager.streams.add({
    name: stream.name,
    subjects: [stream.subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(maxAgeMs),
    duplicate_window: nanos(duplicateWindowMs),
    num_replicas: nats.streamReplicas,
  });
}

/** Never takes any away: who asks for fewer may only know less. */
async function addReplicas({ manager, streamReplicas }: Nats, config: StreamConfig) {
  if (config.num_replicas >= streamReplicas) return;
  await manager.streams.update(config.name, { num_replicas: streamReplicas });
}

/** A durable pull consumer. */
export interface ConsumerSpec {
  readonly stream: string;
  readonly name: string;
  readonly filter: string;
  /** Default 30,000. */
  readonly ackWaitMs?: number;
  /** Default 50; -1 for no bound. */
  readonly maxDeliver?: number;
}

/**
 * Creates or updates a durable consumer and returns it. A new one starts at the stream's beginning, so that a service
 * added today still hears what is kept of yesterday.
 */
export async function ensureConsumer(nats: Nats, consumer: ConsumerSpec): Promise<Consumer> {
  const config = {
    durable_name: consumer.name,
    filter_subject: consumer.filter,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(consumer.ackWaitMs ?? ackWaitMs),
    max_deliver: consumer.maxDeliver ?? maxDeliver,
    max_ack_pending: maxAckPending,
  };
  const found = await nats.manager.consumers.info(consumer.stream, consumer.name).catch(() => undefined);
  if (found) await nats.manager.consumers.update(consumer.stream, consumer.name, config);
  else await nats.manager.consumers.add(consumer.stream, config);
  return await nats.jetstream.consumers.get(consumer.stream, consumer.name);
}
