import { CheckoutStep, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import type { OrderProgress } from "./messages.ts";

/** Tells watchers what becomes of orders. */
export interface OrderWatch {
  /** An order was accepted by this replica: it can be watched without asking the database. */
  begin(customerId: string, progress: OrderProgress): void;
  /** Something changed, as far as this replica knows. */
  publish(progress: OrderProgress): void;
  /** The newest state of an order that this replica is driving for that customer. */
  known(orderId: string, customerId: string): OrderProgress | undefined;
  /** Subscribes at once, and until it is disposed of. Ends with the order's end or the signal. */
  follow(orderId: string, signal: AbortSignal): Following;
  /** Ids of the orders that are being followed. */
  followed(): string[];
}

/** Each further state of one order, once and in order. */
export interface Following extends AsyncIterable<OrderProgress>, Disposable {}

interface Known {
  readonly customerId: string;
  readonly progress: OrderProgress;
}

/** Orders under way that this replica remembers without asking; the oldest go first. */
const maxKnown = 10_000;

/** Makes the watch of one replica. Other replicas' progress comes in by `publish` from a poll. */
export function createOrderWatch(): OrderWatch {
  const known = new Map<string, Known>();
  const followers = new Map<string, Set<Follower>>();
  return {
    begin(customerId, progress) {
      if (known.size >= maxKnown) known.delete(known.keys().next().value ?? "");
      known.set(progress.orderId, { customerId, progress });
    },
    publish(progress) {
      const earlier = known.get(progress.orderId);
      // Another replica may cancel or refund what has ended here: from then on the database is asked.
      if (hasEnded(progress)) known.delete(progress.orderId);
      else if (earlier && isNewer(progress, earlier.progress))
        known.set(progress.orderId, { ...earlier, progress });
      for (const follower of followers.get(progress.orderId) ?? []) follower.push(progress);
    },
    known(orderId, customerId) {
      const found = known.get(orderId);
      return found?.customerId === customerId ? found.progress : undefined;
    },
    follow: (orderId, signal) => follow(followers, orderId, signal),
    followed: () => [...followers.keys()],
  };
}

/** Whether a watch ends with this state. Cancelling and refunding may begin after it: that is for another watch. */
export const hasEnded = ({ status }: OrderProgress) => ended.has(status);

const ended: ReadonlySet<OrderStatus> = new Set([
  OrderStatus.CONFIRMED,
  OrderStatus.CANCELLED,
  OrderStatus.REFUNDED,
]);

/** States only move forward within a watch, so an older one that arrives late (from a poll) is dropped. */
export const isNewer = (progress: OrderProgress, than: OrderProgress | undefined) =>
  than === undefined || rank(progress) > rank(than);

function rank(progress: OrderProgress): number {
  if (hasEnded(progress)) return CheckoutStep.UNDOING + 2;
  return progress.status === OrderStatus.PENDING ? progress.step : CheckoutStep.UNDOING + 1;
}

interface Follower {
  push(progress: OrderProgress): void;
}

/** Subscribes when called, not when first asked for a state, so that nothing is missed in between. */
function follow(followers: Map<string, Set<Follower>>, orderId: string, signal: AbortSignal): Following {
  const queue: OrderProgress[] = [];
  let newest: OrderProgress | undefined;
  let wake = () => {};
  const follower: Follower = {
    push(progress) {
      // A slow reader's queue is bounded by this: there are only so many states ahead.
      if (!isNewer(progress, newest)) return;
      newest = progress;
      queue.push(progress);
      wake();
    },
  };
  const group = followers.get(orderId) ?? new Set();
  followers.set(orderId, group.add(follower));
  const leave = () => {
    if (group.delete(follower) && group.size === 0) followers.delete(orderId);
  };
  signal.addEventListener("abort", () => wake(), { once: true });
  const states = drain({ queue, signal, onWake: (callback) => (wake = callback) });
  return { [Symbol.asyncIterator]: () => states, [Symbol.dispose]: leave };
}

interface Feed {
  readonly queue: OrderProgress[];
  readonly signal: AbortSignal;
  onWake(callback: () => void): void;
}

async function* drain({ queue, signal, onWake }: Feed): AsyncGenerator<OrderProgress> {
  while (!signal.aborted) {
    const next = queue.shift();
    if (next) yield next;
    else await new Promise<void>((resolve) => onWake(resolve));
    if (next && hasEnded(next)) return;
  }
}
