import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats } from "../../../tools/stores/nats.ts";
import { startPostgres } from "../../../tools/stores/postgres.ts";
import type { Store, StoreOptions } from "../../../tools/stores/store.ts";
import { startGuard } from "../../../tools/stores/store-set.ts";

const start = { nats: startNats, postgres: startPostgres };

/** A store of one test's own, and where its data is. */
export type OwnStore = Store & AsyncDisposable & { readonly dataDir: string };

/** A store that a test may hurt, since nobody else uses it. It ends with the test, or with the test's process. */
export async function startOwnStore(kind: keyof typeof start): Promise<OwnStore> {
  const folder = mkdtempSync(join(tmpdir(), "souk-own-"));
  const guard = startGuard(folder);
  const options: StoreOptions = {
    dataDir: join(folder, kind),
    logPath: join(folder, `${kind}.log`),
    port: 0,
    log: () => {},
    onPid: (pid) => guard.watch(kind, pid),
  };
  const store = await start[kind](options);
  const end = async () => {
    await store.stop("immediate");
    await guard.dismiss();
    rmSync(folder, { recursive: true, force: true });
  };
  return Object.assign(store, { dataDir: options.dataDir, [Symbol.asyncDispose]: end });
}
