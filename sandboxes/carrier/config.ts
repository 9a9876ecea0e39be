import { join } from "node:path";
import { type Environment, readText, readWholeNumber } from "../env.ts";

/** What the carrier is told at start; the README lists every variable. */
export type Config = {
  host: string;
  /** 0 takes a free port. */
  port: number;
  ledgerPath: string;
  apiKey: string;
  /** How long booking to the postal code SLOW takes. */
  slowMs: number;
  /** After how long the booking to TIMEOUT, which is never answered, has its socket closed. */
  withholdMs: number;
  /** ISO 4217 code of every price. */
  currency: string;
};

/** Reads the environment; throws with the variable's name when one is malformed. */
export function readConfig(env: Environment): Config {
  const currency = readText(env, "CURRENCY", "EUR");
  if (!/^[A-Z]{3}$/.test(currency))
    throw new Error(`CURRENCY must be three capital letters, it is "${currency}"`);
  return {
    host: readText(env, "HOST", "127.0.0.1"),
    port: readWholeNumber(env, "PORT", 8101),
    ledgerPath: join(readText(env, "DATA_DIR", ".souk/carrier"), "ledger.jsonl"),
    apiKey: readText(env, "API_KEY", "carrier_test_souk"),
    slowMs: readWholeNumber(env, "SLOW_MS", 2000),
    withholdMs: readWholeNumber(env, "WITHHOLD_MS", 30_000),
    currency,
  };
}
