import type { Database } from "#kit/postgres/postgres.ts";
import type { Job } from "#kit/service/service.ts";
import { toProgress } from "./messages.ts";
import { readViews } from "./order-store.ts";
import type { OrderWatch } from "./order-watch.ts";

/** How late a watcher hears of the end of an order that another replica drives, in milliseconds. */
const everyMs = 1_000;

/** Looks up the watched orders, since their saga may be driven by another replica. */
export const watchElsewhere = (db: Database, watch: OrderWatch): Job => ({
  name: "watch-elsewhere",
  everyMs,
  inCanary: true,
  async run() {
    const followed = watch.followed();
    if (followed.length === 0) return;
    for (const view of await readViews(db, followed)) watch.publish(toProgress(view, undefined));
  },
});
