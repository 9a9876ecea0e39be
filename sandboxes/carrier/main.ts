import { Answers, rememberOffset } from "../answers.ts";
import { Collection } from "../collection.ts";
import { startHttpServer } from "../http.ts";
import { Ledger } from "../ledger.ts";
import { type Running, runSandbox } from "../run-sandbox.ts";
import { createHandle, plainReply, restoreEntry } from "./api.ts";
import { type Config, readConfig } from "./config.ts";
import type { Shipment } from "./shipment.ts";

const STOP_GRACE_MS = 3000;

/** Starts the carrier: port first, so that a second copy touches no ledger; then its state; then answers. */
async function start(config: Config): Promise<Running> {
  const server = await startHttpServer(config.host, config.port, plainReply);
  try {
    const shipments = new Collection<Shipment>();
    const offsets = new Map<string, number>();
    const ledger = await Ledger.open(config.ledgerPath, (entry, offset) => {
      restoreEntry(shipments, entry);
      rememberOffset(offsets, entry, offset);
    });
    server.serve(createHandle({ config, shipments, answers: new Answers(ledger, offsets), ledger }));
    const stop = async () => {
      await server.close(STOP_GRACE_MS);
      await ledger.close();
    };
    return { port: server.port, stop };
  } catch (cause) {
    await server.close(0);
    throw cause;
  }
}

await runSandbox("carrier", async () => start(readConfig(process.env)));
