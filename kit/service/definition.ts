import type { DescService } from "@bufbuild/protobuf";
import type { Cache } from "#kit/cache/cache.ts";
import type { Environment, ServiceConfig } from "#kit/config/config.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Reconciliation } from "#kit/reconciliation/definition.ts";
import type { Client } from "#kit/rpc/client.ts";
import type { Saga, SagaDefinition } from "#kit/saga/definition.ts";
import type { SagaEngine, SagaStart } from "#kit/saga/saga.ts";
import type { Logger, Metrics } from "#kit/telemetry/telemetry.ts";
import type { ServiceRpcs } from "./handlers.ts";

/** What a service is given to work with. */
export interface Resources {
  readonly db: Database;
  readonly cache: Cache;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A client of another service, which calls with this service's own token. Closed with the service. */
  client<S extends DescService>(descriptor: S, url: string): Client<S>;
  /** Starts a saga in a transaction and returns its id. */
  startSaga<Input>(tx: Transaction, definition: SagaDefinition<Input>, start: SagaStart<Input>): string;
  /** Turns the newest saga of a definition about a subject round, if it has not reached its pivot; says whether it did. */
  readonly turnSagaBack: SagaEngine["turnBack"];
  /** The newest saga of a definition about a subject, as recorded. */
  findSaga(definition: SagaDefinition<never>, subjectId: string): Promise<Saga<unknown> | undefined>;
  /** The same for several subjects, by subject, in one statement; those without a saga are missing. */
  findSagas(
    definition: SagaDefinition<never>,
    subjectIds: readonly string[],
  ): Promise<ReadonlyMap<string, Saga<unknown>>>;
  /** Aborts when the service stops. */
  readonly signal: AbortSignal;
}

/** Work that a service does by itself, again and again. */
export interface Job {
  readonly name: string;
  /** Pause between the end of one run and the start of the next, in milliseconds. */
  readonly everyMs: number;
  /** It serves callers of its own process and changes nothing, so a canary runs it too. */
  readonly inCanary?: true;
  /** A failed run is logged and tried again after the pause. */
  run(): Promise<void>;
}

/** The kinds of work a service does. */
export interface Wiring {
  readonly rpcs: readonly ServiceRpcs[];
  readonly consumers?: readonly Consumer[];
  readonly sagas?: readonly SagaDefinition<never>[];
  readonly jobs?: readonly Job[];
  /** Records to be compared. A service with sagas also has `stuck-sagas`, which the kit adds. */
  readonly reconciliations?: readonly Reconciliation[];
}

/** A service, as data. */
export interface ServiceDefinition<Config extends ServiceConfig = ServiceConfig> {
  /** The service's folder, database and token client. */
  readonly name: string;
  readonly migrations: URL;
  readConfig(env: Environment): Config;
  wire(resources: Resources, config: Config): Wiring;
}

/** A service that is up. */
export interface RunningService {
  /** Port of gRPC. */
  readonly port: number;
  readonly metricsPort: number;
  /** Ends the service; safe to call twice. */
  stop(): Promise<void>;
}
