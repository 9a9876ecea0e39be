import { expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import type { Store } from "../tools/stores/store.ts";
import { type Load, type LoadReport, startLoad } from "./load.ts";
import { type Goods, openShop, type Person, readOrder } from "./shop.ts";

const shop = openShop();

const pace = { perSecond: 20, seconds: 30 };
const endWithinMs = 30_000;
const recoverWithinMs = 2_000;

const pids = () => new Map([...shop().processes.byName].map(([name, { pid }]) => [name, pid]));

/** Counted in orders: the store goes down after the first of each pair, and comes back after the second. */
const outages = [
  [80, 130],
  [230, 280],
  [380, 430],
] as const;

/** Takes a store down three times under the load, for 2.5 s each; tells when it was back. */
async function breakThrice(load: Load, store: Store, takeDown: () => Promise<unknown>): Promise<number[]> {
  const backAtMs: number[] = [];
  for (const [downAfter, upAfter] of outages) {
    await load.placed(downAfter);
    const waited = load.placed(upAfter);
    await takeDown();
    await waited;
    await store.start();
    backAtMs.push(performance.now());
  }
  return backAtMs;
}

/** Waits for the end of each accepted order, and tells how many ended how. */
async function endsOf(buyer: Person, { orderIds }: LoadReport): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  const deadline = performance.now() + endWithinMs;
  const follow = async (orderId: string) => {
    const end = await eventually(
      async () => {
        const { status, cancelReason } = await readOrder(shop(), buyer, orderId);
        if (status === "ORDER_STATUS_PENDING") throw new Error(`${orderId} has not ended`);
        return `${status} ${cancelReason}`.trim();
      },
      Math.max(0, deadline - performance.now()),
    );
    ends.set(end, (ends.get(end) ?? 0) + 1);
  };
  const queue = orderIds.values();
  const worker = async () => {
    for (const orderId of queue) await follow(orderId);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return ends;
}

/** Which orders' money was taken, one entry a capture. */
async function capturedOrders({ orderIds }: LoadReport): Promise<string[]> {
  const captured = (await shop().captures()).map(({ metadata }) => metadata?.order_id ?? "");
  return captured.filter((orderId) => orderIds.includes(orderId)).toSorted();
}

/** How long after each return of the store the first order was accepted. */
const recoveriesMs = ({ acceptedAtMs }: LoadReport, backAtMs: readonly number[]) =>
  backAtMs.map((back) =>
    Math.round((acceptedAtMs.find((at) => at > back) ?? Number.POSITIVE_INFINITY) - back),
  );

async function checkAftermath(goods: Goods, buyer: Person, report: LoadReport, backAtMs: readonly number[]) {
  const ends = await endsOf(buyer, report);
  expect([...ends.keys()]).toEqual(["ORDER_STATUS_CONFIRMED"]);
  expect(await capturedOrders(report)).toEqual(report.orderIds.toSorted());
  const left = 10_000 - report.orderIds.length;
  await eventually(
    async () => expect(await shop().stock(goods)).toEqual({ onHand: left, reserved: 0 }),
    20_000,
  );
  for (const recoveryMs of recoveriesMs(report, backAtMs))
    expect(recoveryMs).toBeLessThanOrEqual(recoverWithinMs);
}

test("Postgres dies three times under load: no service does, and every accepted order is confirmed", async () => {
  const [goods, buyer] = [await shop().sell(10_000), await shop().person()];
  const { postgres } = shop().processes.stores;
  const before = pids();
  const load = startLoad(shop(), { buyer, goods, ...pace });
  const backAtMs = await breakThrice(load, postgres, () => postgres.stop("immediate"));
  await load.ended;
  expect(pids()).toEqual(before);
  expect(load.report.orderIds.length).toBeGreaterThan(pace.perSecond * pace.seconds * 0.5);
  await checkAftermath(goods, buyer, load.report, backAtMs);
  expect(pids()).toEqual(before);
});

test("NATS dies three times under load: no order is refused for it, and every one is confirmed", async () => {
  const [goods, buyer] = [await shop().sell(10_000), await shop().person()];
  const { nats } = shop().processes.stores;
  const before = pids();
  const load = startLoad(shop(), { buyer, goods, ...pace });
  const backAtMs = await breakThrice(load, nats, () => nats.kill("SIGKILL"));
  await load.ended;
  expect(load.report.refusals).toEqual(new Map());
  await checkAftermath(goods, buyer, load.report, backAtMs);
  expect(pids()).toEqual(before);
});
