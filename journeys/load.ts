import type { Goods, Person, Shop, ShownOrder } from "./shop.ts";
import { purchaseBody } from "./shop.ts";

/** What came of placing orders at a steady pace. */
export interface LoadReport {
  /** Orders that were answered with 202. */
  readonly orderIds: readonly string[];
  /** When each 202 arrived, by `performance.now()`. */
  readonly acceptedAtMs: readonly number[];
  /** How often each other answer came. */
  readonly refusals: ReadonlyMap<string, number>;
}

/** A steady stream of orders. */
export interface Load {
  readonly report: LoadReport;
  /** Resolves when so many orders have been placed. */
  placed(count: number): Promise<void>;
  /** Resolves when no order is placed any more and each has its answer. */
  readonly ended: Promise<void>;
}

/** Places orders at a steady pace, whatever becomes of them: nobody waits for the one before, and none is repeated. */
export function startLoad(
  shop: Shop,
  { buyer, goods, perSecond, seconds }: { buyer: Person; goods: Goods; perSecond: number; seconds: number },
): Load {
  const report = {
    orderIds: [] as string[],
    acceptedAtMs: [] as number[],
    refusals: new Map<string, number>(),
  };
  const pending: Promise<void>[] = [];
  const milestones = new Map<number, () => void>();
  const placed = (count: number) => new Promise<void>((resolve) => void milestones.set(count, resolve));
  const allPlaced = placed(perSecond * seconds);
  const timer = setInterval(() => {
    pending.push(place(shop, buyer, goods, report));
    milestones.get(pending.length)?.();
    if (pending.length === perSecond * seconds) clearInterval(timer);
  }, 1_000 / perSecond);
  const ended = allPlaced.then(async () => void (await Promise.all(pending)));
  return { report, placed, ended };
}

interface Tally {
  readonly orderIds: string[];
  readonly acceptedAtMs: number[];
  readonly refusals: Map<string, number>;
}

async function place(shop: Shop, { token }: Person, goods: Goods, tally: Tally): Promise<void> {
  const request = { token, key: crypto.randomUUID(), body: purchaseBody({ goods }) };
  const answer = await shop
    .rest<{ order: ShownOrder; reason?: string }>("POST", "/v1/orders", request)
    .catch((error: Error) => error);
  if (!(answer instanceof Error) && answer.status === 202) {
    tally.acceptedAtMs.push(performance.now());
    tally.orderIds.push(answer.body.order.orderId);
    return;
  }
  const what = answer instanceof Error ? answer.name : `${answer.status} ${answer.body?.reason ?? ""}`.trim();
  tally.refusals.set(what, (tally.refusals.get(what) ?? 0) + 1);
}
