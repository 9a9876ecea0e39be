import type { DescFile } from "@bufbuild/protobuf";
import { file_souk_ops_v1_events } from "#gen/souk/ops/v1/events_pb.ts";
import { createServiceToken, createTokenVerifier } from "#kit/auth/auth.ts";
import { createCache } from "#kit/cache/cache.ts";
import type { ServiceConfig } from "#kit/config/config.ts";
import { planted } from "#kit/failpoints/planted.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { streamName, streamSubjects } from "#kit/nats/event-names.ts";
import { connectNats, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { openOutbox } from "#kit/outbox/outbox.ts";
import { createRelay, type Relay } from "#kit/outbox/relay.ts";
import { publishTooEarly } from "#kit/outbox/too-early.ts";
import { awaitMigrations } from "#kit/postgres/migrate.ts";
import { createDatabase, type Database } from "#kit/postgres/postgres.ts";
import { createReconciler, type Reconciler } from "#kit/reconciliation/reconciliation.ts";
import { createClient } from "#kit/rpc/client.ts";
import { createRpcServer } from "#kit/rpc/server.ts";
import { createSagaEngine, type SagaEngine } from "#kit/saga/saga.ts";
import { type Logger, type Metrics, startSidePort, startTracing } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { bindHandlers } from "./bind.ts";
import type { Job, Resources, RunningService, ServiceDefinition, Wiring } from "./definition.ts";
import { migrateDatabase, migrationStreams } from "./migrate-database.ts";
import { operationRpcs } from "./operations/operations.ts";
import { keepRetention } from "./retention.ts";
import { measureSagas, stuckSagas } from "./stuck-sagas.ts";

/** The parts of a service while it comes up; what was opened is closed in reverse when anything fails. */
interface Parts<Config extends ServiceConfig> {
  readonly definition: ServiceDefinition<Config>;
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly stack: AsyncDisposableStack;
  readonly stopping: AbortController;
}

/** Brings a service up, in the order its parts need each other. */
export async function start<Config extends ServiceConfig>(
  definition: ServiceDefinition<Config>,
  config: Config,
  log: Logger,
  metrics: Metrics,
): Promise<RunningService> {
  const stack = new AsyncDisposableStack();
  const parts = { definition, config, log, metrics, stack, stopping: new AbortController() };
  try {
    return await bringUp(parts);
  } catch (error) {
    parts.stopping.abort();
    await stack.disposeAsync();
    throw error;
  }
}

async function bringUp<Config extends ServiceConfig>(parts: Parts<Config>): Promise<RunningService> {
  const { definition, config, log, metrics, stack, stopping } = parts;
  let ready = false;
  const tracing = await startTracing({ service: definition.name, endpoint: config.otlpEndpoint });
  stack.defer(() => tracing.shutdown());
  const side = await startSidePort({
    host: config.host,
    port: config.metricsPort,
    registry: metrics.registry,
    isReady: () => ready,
  });
  stack.defer(() => side.close());
  const db = await openDatabase(parts);
  const nats = await connectNats({
    url: config.natsUrl,
    login: config.natsLogin,
    name: definition.name,
    log,
    streamReplicas: config.eventStreamReplicas,
  });
  stack.defer(() => nats.close());
  const { wiring, engine, reconciler } = wire(parts, db);
  const loops = await startLoops(parts, { db, nats, wiring, engine, reconciler });
  stack.defer(async () => {
    stopping.abort();
    await loops.ended;
  });
  const { consumers = [] } = wiring;
  const operations = operationRpcs({
    service: definition.name,
    db,
    engine,
    reconciler,
    consumers,
    eventPrefix: config.eventPrefix,
  });
  const server = createRpcServer({
    host: config.host,
    port: config.port,
    services: [...wiring.rpcs, ...operations].map((rpcs) => bindHandlers(rpcs, db)),
    verify: createTokenVerifier({ issuer: config.tokenIssuer }).verify,
    log,
    metrics,
    reflection: config.environment !== "production",
  });
  const port = await server.start();
  stack.defer(() => server.drain(config.drainTimeoutMs));
  for (const name of ["", "readiness", "liveness"]) server.setServing(name, true);
  ready = true;
  stack.defer(() => {
    ready = false;
  });
  log.info({ port, metricsPort: side.port }, "ready");
  let stopped: Promise<void> | undefined;
  return { port, metricsPort: side.port, stop: () => (stopped ??= stack.disposeAsync()) };
}

async function openDatabase<Config extends ServiceConfig>({ definition, config, log, stack }: Parts<Config>) {
  const url = config.databaseUrl.reveal();
  const { databaseUrl, databaseOwnerUrl } = config;
  if (databaseOwnerUrl) await migrateDatabase(definition, { databaseUrl, databaseOwnerUrl }, log);
  else await awaitMigrations({ url, streams: migrationStreams(definition), log });
  const sessionUrl = config.databaseSessionUrl?.reveal();
  const db = createDatabase({ url, sessionUrl, maxConnections: config.databasePoolSize, log });
  stack.defer(() => db.close());
  return db;
}

/** Hands the service its resources. The engine is made from what the wiring names, so the wiring reaches it by need. */
function wire<Config extends ServiceConfig>(parts: Parts<Config>, db: Database) {
  const { definition, config, log, metrics, stack, stopping } = parts;
  const cache = createCache({
    redisUrl: config.redisUrl,
    prefix: `${config.eventPrefix}:${definition.name}`,
    log,
  });
  stack.defer(() => cache.close());
  const token = createServiceToken({
    issuer: config.tokenIssuer,
    clientId: config.clientId,
    clientSecret: config.clientSecret,
  });
  stack.defer(() => token.close());
  let engine: SagaEngine | undefined;
  const started = () => {
    if (!engine) throw new Error("a saga was started before the service was wired");
    return engine;
  };
  const resources: Resources = {
    db,
    cache,
    log,
    metrics,
    client(descriptor, url) {
      const client = createClient(descriptor, { url, token: () => token.current(), metrics });
      stack.defer(() => client.close());
      return client;
    },
    startSaga: (tx, saga, from) => started().start(tx, saga, from),
    turnSagaBack: (tx, saga, subjectId, why) => started().turnBack(tx, saga, subjectId, why),
    findSaga: (saga, subjectId) => started().find(saga, subjectId),
    findSagas: (saga, subjectIds) => started().findMany(saga, subjectIds),
    signal: stopping.signal,
  };
  const wiring = definition.wire(resources, config);
  engine = createSagaEngine({
    db,
    definitions: wiring.sagas ?? [],
    leaseMs: config.sagaLeaseMs,
    drives: config.track === "stable",
    log,
    metrics,
  });
  const reconciler = createReconciler({
    db,
    log,
    metrics,
    service: definition.name,
    reconciliations: [...(wiring.reconciliations ?? []), ...stuckSagas(db, wiring.sagas ?? [])],
    graceMs: config.reconciliationGraceMs,
  });
  return { wiring, engine, reconciler };
}

interface LoopParts {
  readonly db: Database;
  readonly nats: Nats;
  readonly wiring: Wiring;
  readonly engine: SagaEngine;
  readonly reconciler: Reconciler;
}

/** Starts what the service does by itself, of which a canary does next to nothing; `ended` settles when all of it has. */
async function startLoops<Config extends ServiceConfig>(parts: Parts<Config>, loopParts: LoopParts) {
  const { definition, config, log, metrics, stopping } = parts;
  const { db, nats, wiring } = loopParts;
  for (const file of announcedBy(wiring)) {
    const subjects = streamSubjects(file, config.eventPrefix);
    await ensureStream(nats, { name: streamName(file, config.eventPrefix), subjects });
  }
  const acts = config.track === "stable";
  const relay = createRelay({ db, nats, log, metrics });
  openOutbox(db, {
    source: definition.name,
    prefix: config.eventPrefix,
    onCommitted: relay.wake,
    publishTooEarly: planted("publish-before-commit") ? publishTooEarly(nats) : undefined,
  });
  const jobs = (wiring.jobs ?? []).filter(({ inCanary }) => acts || inCanary);
  const loops: Promise<unknown>[] = jobs.map((job) => runJob(job, log, stopping.signal));
  if (acts) loops.push(...actByItself(parts, loopParts, relay));
  else log.info("a canary: what it begins, the stable replicas go on with");
  // In an object, since an async function would wait for a promise that it returns.
  return { ended: Promise.all(loops) };
}

function actByItself<Config extends ServiceConfig>(
  { definition, config, log, metrics, stopping }: Parts<Config>,
  { db, nats, wiring, engine, reconciler }: LoopParts,
  relay: Relay,
): Promise<unknown>[] {
  const { signal } = stopping;
  const { consumers = [], sagas = [] } = wiring;
  const limits = { ackWaitMs: config.eventAckWaitMs };
  const names = { service: definition.name, prefix: config.eventPrefix };
  return [
    engine.run(signal),
    reconciler.run(signal),
    relay.run(signal),
    keepRetention({ db, log }, signal),
    runConsumers({ ...names, consumers, db, nats, log, metrics, limits }, signal),
    ...(sagas.length > 0 ? [runJob(measureSagas(db, sagas, metrics), log, signal)] : []),
  ];
}

/** The packages whose events a service announces: its own contract's, and what its operators do. */
const announcedBy = ({ rpcs }: Wiring): DescFile[] => [
  ...rpcs.slice(0, 1).map(({ descriptor }) => descriptor.file),
  file_souk_ops_v1_events,
];

async function runJob(job: Job, log: Logger, signal: AbortSignal) {
  while (!signal.aborted) {
    await job.run().catch((error: unknown) => log.warn({ err: error, job: job.name }, "a job failed"));
    await delay(job.everyMs, signal).catch(() => {});
  }
}
