import { expect, test } from "vitest";
import { CheckoutStep, OrderStatus } from "#gen/souk/orders/v1/orders_pb.ts";
import type { OrderProgress } from "./messages.ts";
import { createOrderWatch, type Following, hasEnded, isNewer } from "./order-watch.ts";

const orderId = "order_1";
const never = new AbortController().signal;

const at = (step: CheckoutStep, status: OrderStatus = OrderStatus.PENDING): OrderProgress => ({
  orderId,
  status,
  step,
  cancelReason: status === OrderStatus.CANCELLED ? "CARD_DECLINED" : "",
});

const accepted = at(CheckoutStep.ACCEPTED);
const reserved = at(CheckoutStep.STOCK_RESERVED);
const authorized = at(CheckoutStep.PAYMENT_AUTHORIZED);
const undoing = at(CheckoutStep.UNDOING);
const confirmed = at(CheckoutStep.PAYMENT_CAPTURED, OrderStatus.CONFIRMED);
const cancelled = at(CheckoutStep.UNDOING, OrderStatus.CANCELLED);
const refunded = at(CheckoutStep.PAYMENT_CAPTURED, OrderStatus.REFUNDED);

async function readAll(following: Following): Promise<OrderProgress[]> {
  const seen: OrderProgress[] = [];
  for await (const progress of following) seen.push(progress);
  return seen;
}

test("a follower sees each state once, in order, and its feed ends with the order", async () => {
  const watch = createOrderWatch();
  using following = watch.follow(orderId, never);
  for (const progress of [accepted, reserved, reserved, authorized, confirmed]) watch.publish(progress);
  expect(await readAll(following)).toEqual([accepted, reserved, authorized, confirmed]);
});

test("an older state that arrives late is dropped", async () => {
  const watch = createOrderWatch();
  using following = watch.follow(orderId, never);
  for (const progress of [authorized, reserved, accepted, undoing, authorized, cancelled])
    watch.publish(progress);
  expect(await readAll(following)).toEqual([authorized, undoing, cancelled]);
});

test("nothing comes after an order's end", async () => {
  const watch = createOrderWatch();
  using following = watch.follow(orderId, never);
  for (const progress of [confirmed, cancelled, undoing]) watch.publish(progress);
  expect(await readAll(following)).toEqual([confirmed]);
});

test("a follower who waits hears of the next state when it comes", async () => {
  const watch = createOrderWatch();
  using following = watch.follow(orderId, never);
  const states = following[Symbol.asyncIterator]();
  const next = states.next();
  watch.publish(reserved);
  expect(await next).toEqual({ done: false, value: reserved });
  const last = states.next();
  watch.publish(cancelled);
  expect(await last).toEqual({ done: false, value: cancelled });
  expect(await states.next()).toEqual({ done: true, value: undefined });
});

test("all followers of an order hear of it, those of another do not", async () => {
  const watch = createOrderWatch();
  using one = watch.follow(orderId, never);
  using two = watch.follow(orderId, never);
  using stranger = watch.follow("order_2", never);
  const end = { ...cancelled, orderId: "order_2" };
  watch.publish(confirmed);
  watch.publish(end);
  expect(await Promise.all([one, two, stranger].map(readAll))).toEqual([[confirmed], [confirmed], [end]]);
});

test("a feed ends when its reader gives up, also while it waits", async () => {
  const watch = createOrderWatch();
  const leaving = new AbortController();
  using following = watch.follow(orderId, leaving.signal);
  const reading = readAll(following);
  leaving.abort();
  expect(await reading).toEqual([]);
  using late = watch.follow(orderId, leaving.signal);
  watch.publish(confirmed);
  expect(await readAll(late)).toEqual([]);
});

test("nobody is followed for those who left, whether or not they read anything", async () => {
  const watch = createOrderWatch();
  {
    using unread = watch.follow(orderId, never);
    using second = watch.follow(orderId, never);
    expect(watch.followed()).toEqual([orderId]);
    watch.publish(confirmed);
    await readAll(second);
    expect(unread).toBeDefined();
  }
  expect(watch.followed()).toEqual([]);
});

test("who leaves twice does not take a later follower along", () => {
  const watch = createOrderWatch();
  const early = watch.follow(orderId, never);
  early[Symbol.dispose]();
  using later = watch.follow(orderId, never);
  early[Symbol.dispose]();
  expect(watch.followed()).toEqual([orderId]);
  expect(later).toBeDefined();
});

test("a reader who does not read is not sent the same again and again", async () => {
  const watch = createOrderWatch();
  using following = watch.follow(orderId, never);
  for (let times = 0; times < 1_000; times += 1) watch.publish(reserved);
  watch.publish(cancelled);
  expect(await readAll(following)).toEqual([reserved, cancelled]);
});

test("an order begun here is known to its customer, at its newest state, and to nobody else", () => {
  const watch = createOrderWatch();
  watch.begin("user_1", accepted);
  watch.publish(authorized);
  watch.publish(reserved);
  expect(watch.known(orderId, "user_1")).toEqual(authorized);
  expect(watch.known(orderId, "user_2")).toBeUndefined();
  expect(watch.known("order_2", "user_1")).toBeUndefined();
});

test("an order that has ended is asked for again: it may be on its way back meanwhile", () => {
  const watch = createOrderWatch();
  watch.begin("user_1", accepted);
  watch.publish(confirmed);
  expect(watch.known(orderId, "user_1")).toBeUndefined();
});

test.each([OrderStatus.CANCELLING, OrderStatus.REFUNDING])(
  "a follower who comes while an order is in status %i hears its end, and no step of its checkout",
  async (status) => {
    const watch = createOrderWatch();
    const back = at(CheckoutStep.UNDOING, status);
    using following = watch.follow(orderId, never);
    for (const progress of [back, authorized, undoing, back, confirmed]) watch.publish(progress);
    expect(await readAll(following)).toEqual([back, confirmed]);
  },
);

test("an order begun elsewhere is not known here, although its progress is heard of", () => {
  const watch = createOrderWatch();
  watch.publish(confirmed);
  expect(watch.known(orderId, "user_1")).toBeUndefined();
});

test("of very many orders the oldest are forgotten", () => {
  const watch = createOrderWatch();
  for (let id = 0; id <= 10_000; id += 1) watch.begin("user_1", { ...accepted, orderId: String(id) });
  expect(watch.known("0", "user_1")).toBeUndefined();
  expect(watch.known("1", "user_1")).toBeDefined();
  expect(watch.known("10000", "user_1")).toBeDefined();
});

test("an end is newer than every step, and nothing is newer than an end", () => {
  const steps = [accepted, reserved, authorized, at(CheckoutStep.PAYMENT_CAPTURED), undoing];
  for (const end of [confirmed, cancelled, refunded]) {
    expect(steps.every((step) => isNewer(end, step) && !isNewer(step, end))).toBe(true);
    expect(hasEnded(end)).toBe(true);
  }
  expect(steps.some(hasEnded)).toBe(false);
  expect(isNewer(confirmed, cancelled)).toBe(false);
  expect(isNewer(accepted, undefined)).toBe(true);
});
