import { readFirstBytes } from "../../tools/stores/first-bytes.ts";
import type { Store } from "../../tools/stores/store.ts";
import { pause } from "../pause.ts";
import { replicaName } from "../shop/ports.ts";
import { type ChaosShop, untilServing } from "../shop/shop.ts";
import type { WatchedProcess } from "../shop/watched-process.ts";
import type { Fault } from "./fault.ts";
import { sendLateCommand } from "./late-command.ts";
import { repeatEvents } from "./repeat-events.ts";
import { refuseWrites, shiftClock, terminateBackends } from "./sql-faults.ts";

/** Where faults happen. */
export interface Scene {
  readonly shop: ChaosShop;
  /** Something on sale of which there is plenty. */
  readonly sku: string;
  /** Ends what lasts. */
  readonly signal: AbortSignal;
}

/** Makes one fault happen and waits until what was hit is back; tells how many parts were hit. */
export async function actOn({ shop, sku, signal }: Scene, fault: Fault): Promise<number> {
  switch (fault.kind) {
    case "kill-service":
      return await restart(replicaOf(shop, fault), (one) => one.kill());
    case "restart-service":
      return await restart(replicaOf(shop, fault), (one) => one.stop("graceful"));
    case "freeze-service":
      return await freeze(replicaOf(shop, fault), fault.forMs, signal);
    case "kill-broker":
      return await crash(shop.stores.nats, (store) => store.kill("SIGKILL"), fault.downMs);
    case "kill-redis":
      return await crash(shop.stores.redis, (store) => store.kill("SIGKILL"), fault.downMs);
    case "crash-postgres": {
      const end = (store: Store) => (fault.how === "kill" ? store.kill("SIGKILL") : store.stop("immediate"));
      return await crash(shop.stores.postgres, end, fault.downMs);
    }
    case "terminate-backends":
      return await terminateBackends(shop.stores.postgres.url, fault.count);
    case "flush-redis":
      await readFirstBytes(shop.stores.redis.port, "FLUSHALL\r\n", AbortSignal.timeout(5_000));
      return 1;
    case "trouble-link":
      return await troubleLink(shop, fault, signal);
    case "reset-link":
      return linkOf(shop, fault.link).reset();
    case "repeat-events":
      return await repeatEvents(shop.stores.nats.url, fault);
    case "refuse-writes":
      return await refuseWrites(shop.stores.postgres.url, fault, signal);
    case "shift-clock":
      return await shiftClock(shop.stores.postgres.url, fault.service, fault.ms);
    case "late-command":
      return await sendLateCommand(shop, fault.service, sku);
  }
}

async function restart(one: WatchedProcess, end: (one: WatchedProcess) => Promise<unknown>) {
  // Of two replicas one may die: the next fault of this service waits until this one is back.
  await untilServing(one, -1);
  const before = one.starts;
  await end(one);
  await untilServing(one, before);
  return 1;
}

async function freeze(one: WatchedProcess, forMs: number, signal: AbortSignal) {
  one.freeze();
  try {
    await pause(forMs, signal);
  } finally {
    one.thaw();
  }
  return 1;
}

async function crash(store: Store, end: (store: Store) => Promise<unknown>, downMs: number) {
  await end(store);
  await pause(downMs);
  // Who was stopped in the middle of it, with the whole machine, finds that its time is over.
  await store.start().catch(() => store.start());
  return 1;
}

type LinkFault = Extract<Fault, { kind: "trouble-link" }>;

async function troubleLink(shop: ChaosShop, { link, trouble, forMs }: LinkFault, signal: AbortSignal) {
  const hurt = linkOf(shop, link);
  hurt.trouble(trouble);
  // Whoever refuses has lost what stood before, too.
  if (trouble.kind === "refusing") hurt.reset();
  try {
    await pause(forMs, signal);
  } finally {
    hurt.trouble(undefined);
  }
  return 1;
}

function replicaOf(shop: ChaosShop, { service, replica }: { service: string; replica: number }) {
  const found = shop.replicas.get(replicaName(service, replica));
  if (!found) throw new Error(`there is no replica ${replica} of ${service}`);
  return found;
}

function linkOf(shop: ChaosShop, name: string) {
  const found = shop.links.get(name);
  if (!found) throw new Error(`there is no link ${name}`);
  return found;
}
