import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSandboxProcess } from "../../../sandboxes/sandbox-process.ts";

/** API key of the sandboxes that tests start. */
export const apiKey = "sk_test_payments";

/** A line of the processor's own ledger: the oracle of where money went. */
export interface ProcessorEntry {
  readonly kind: string;
  readonly amount: number;
  readonly payment_intent: string;
}

/** The card processor as its own process, with a ledger of its own. */
export interface CardProcessorSandbox {
  readonly url: string;
  readonly port: number;
  /** What happened, oldest first, filtered like `metadata[order_id]=…`. */
  ledger(filter: string): Promise<ProcessorEntry[]>;
  stop(): Promise<void>;
}

/** Starts a card processor for a test file. */
export async function startCardProcessor(env: Record<string, string> = {}): Promise<CardProcessorSandbox> {
  const folder = await mkdtemp(join(tmpdir(), "souk-card-processor-"));
  const sandbox = await startSandboxProcess("card-processor", { DATA_DIR: folder, API_KEY: apiKey, ...env });
  return {
    url: sandbox.url,
    port: sandbox.port,
    async ledger(filter) {
      const headers = { authorization: `Bearer ${apiKey}` };
      const answer = await fetch(`${sandbox.url}/sandbox/ledger?${filter}`, { headers });
      const lines = (await answer.text()).split("\n").filter((line) => line !== "");
      return lines.map((line) => JSON.parse(line));
    },
    async stop() {
      await sandbox.stop();
      await rm(folder, { recursive: true });
    },
  };
}
