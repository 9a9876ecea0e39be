import {
  type Environment,
  envReader,
  readServiceConfig,
  type Secret,
  type ServiceConfig,
} from "#kit/config/config.ts";

/** What payments is told beside what every service is told. */
export interface PaymentsConfig extends ServiceConfig {
  /** CARD_PROCESSOR_URL, without a path. */
  readonly cardProcessorUrl: string;
  /** CARD_PROCESSOR_KEY: the API key. */
  readonly cardProcessorKey: Secret;
  /** CARD_PROCESSOR_WEBHOOK_SECRET: what the processor signs its webhooks with. */
  readonly cardProcessorWebhookSecret: Secret;
  /** CARD_PROCESSOR_TIMEOUT_MS, default 6 000: below the 8 s a checkout waits for an attempt, so that it hears why. */
  readonly cardProcessorTimeoutMs: number;
}

/** Reads the environment. @throws ConfigError that names every variable which is missing or wrong. */
export function readConfig(env: Environment): PaymentsConfig {
  const shared = readServiceConfig(env);
  const reader = envReader(env);
  return reader.check({
    ...shared,
    cardProcessorUrl: reader.url("CARD_PROCESSOR_URL"),
    cardProcessorKey: reader.secret("CARD_PROCESSOR_KEY"),
    cardProcessorWebhookSecret: reader.secret("CARD_PROCESSOR_WEBHOOK_SECRET"),
    cardProcessorTimeoutMs: reader.integer("CARD_PROCESSOR_TIMEOUT_MS", {
      default: 6_000,
      min: 100,
      max: 60_000,
    }),
  });
}
