import { join } from "node:path";
import { type Environment, readText, readWholeNumber } from "../env.ts";
import type { WebhookConfig } from "./webhooks.ts";

/** What the card processor is told at start; the README lists every variable. */
export type Config = {
  host: string;
  /** 0 takes a free port. */
  port: number;
  ledgerPath: string;
  apiKey: string;
  /** How long `pm_card_slow` takes. */
  slowMs: number;
  /** After how long `pm_card_chargeThenTimeout` closes the socket it never answers. */
  withholdMs: number;
  webhook: WebhookConfig | undefined;
};

const DEFAULT_EVENTS =
  "payment_intent.succeeded,payment_intent.canceled,payment_intent.payment_failed,charge.refunded";

/** Reads the environment; throws with the variable's name when one is malformed. */
export function readConfig(env: Environment): Config {
  return {
    host: readText(env, "HOST", "127.0.0.1"),
    port: readWholeNumber(env, "PORT", 8100),
    ledgerPath: join(readText(env, "DATA_DIR", ".souk/card-processor"), "ledger.jsonl"),
    apiKey: readText(env, "API_KEY", "sk_test_souk"),
    slowMs: readWholeNumber(env, "SLOW_MS", 2000),
    withholdMs: readWholeNumber(env, "WITHHOLD_MS", 30_000),
    webhook: readWebhook(env),
  };
}

function readWebhook(env: Environment): WebhookConfig | undefined {
  const url = readText(env, "WEBHOOK_URL", "");
  if (url === "") return undefined;
  if (!URL.canParse(url) || new URL(url).protocol !== "http:") {
    throw new Error(`WEBHOOK_URL must be an http:// address, it is "${url}"`);
  }
  const secret = readText(env, "WEBHOOK_SECRET", "");
  if (secret === "") throw new Error("WEBHOOK_SECRET must be set when WEBHOOK_URL is");
  const events = readText(env, "WEBHOOK_EVENTS", DEFAULT_EVENTS).split(",");
  return { url: new URL(url), secret, events: new Set(events.map((event) => event.trim())) };
}
