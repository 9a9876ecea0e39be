import { Answers, rememberOffset } from "../answers.ts";
import { startHttpServer } from "../http.ts";
import { Ledger } from "../ledger.ts";
import { type Running, runSandbox } from "../run-sandbox.ts";
import { createAccounts, restoreEntry } from "./accounts.ts";
import { createHandle, plainReply } from "./api.ts";
import { type Config, readConfig } from "./config.ts";
import { WebhookSender } from "./webhooks.ts";

const STOP_GRACE_MS = 3000;

/** Starts the card processor: port first, so that a second copy touches no ledger; then its state; then answers. */
async function start(config: Config): Promise<Running> {
  const server = await startHttpServer(config.host, config.port, plainReply);
  try {
    const accounts = createAccounts();
    const offsets = new Map<string, number>();
    const ledger = await Ledger.open(config.ledgerPath, (entry, offset) => {
      restoreEntry(accounts, entry);
      rememberOffset(offsets, entry, offset);
    });
    const webhooks = config.webhook && new WebhookSender(config.webhook);
    server.serve(createHandle({ config, accounts, answers: new Answers(ledger, offsets), ledger, webhooks }));
    const stop = async () => {
      await server.close(STOP_GRACE_MS);
      await webhooks?.close(STOP_GRACE_MS);
      await ledger.close();
    };
    return { port: server.port, stop };
  } catch (cause) {
    await server.close(0);
    throw cause;
  }
}

await runSandbox("card-processor", async () => start(readConfig(process.env)));
