import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { eventName } from "#kit/nats/event-names.ts";
import type { SagaDefinition } from "#kit/saga/definition.ts";
import { lastReleased } from "#kit/saga/versions.ts";
import type { Resources, ServiceDefinition } from "#kit/service/service.ts";
import { beforeAnswers } from "./before-answers.ts";
import { orderNoted, withStep } from "./orders-next.ts";

const released = {
  wire: () => ({
    rpcs: [
      {
        descriptor: { typeName: "souk.catalog.v1.CatalogService" },
        handlers: {
          getProduct: { kind: "query", read: async (id: string) => `product ${id}` },
          createProduct: { kind: "command", command: "as it was" },
        },
      },
    ],
    jobs: [],
  }),
} as unknown as ServiceDefinition;

test("what a build adds comes before each answer, and fails it where it throws; all else is as released", async () => {
  let calls = 0;
  const build = beforeAnswers(released, () => {
    calls += 1;
    if (calls === 2) throw new Error("a bad release");
  });
  const { rpcs, jobs } = build.wire({} as Resources, {} as never);
  const handlers = rpcs.map((one) => one.handlers);
  const [{ getProduct, createProduct }] = handlers as unknown as [
    { getProduct: { read(id: string): Promise<string> }; createProduct: unknown },
  ];
  expect(await getProduct.read("a")).toBe("product a");
  await expect(getProduct.read("b")).rejects.toThrow("a bad release");
  expect(await getProduct.read("c")).toBe("product c");
  expect([createProduct, jobs]).toEqual([{ kind: "command", command: "as it was" }, []]);
});

test("the next release's event is of the orders' own stream, and nobody has heard of it", () => {
  const name = eventName(orderNoted(), "souk");
  expect(name).toMatchObject({
    type: "souk.orders.v1.OrderNoted",
    stream: "souk_orders_v1",
    aggregate: "order",
    idProperty: "orderId",
  });
});

test("the next release's checkout has its step before money moves; a canary begins by the steps before", () => {
  const step = (name: string, pivot?: true) => ({
    name,
    attemptTimeoutMs: 1,
    budgetMs: 1,
    do: async () => ({}),
    ...(pivot && { pivot }),
  });
  const checkout = { name: "checkout", version: 1, steps: [step("reserve"), step("capture", true)] };
  const next = withStep(checkout as unknown as SagaDefinition);
  expect(next.version).toBe(2);
  expect(next.steps.map(({ name }) => name)).toEqual(["reserve", "inspect", "capture"]);
  const begun = lastReleased(next);
  expect([begun.version, begun.steps]).toEqual([1, checkout.steps]);
});

test("the next release's migration comes after all that orders has", () => {
  const folder = join(import.meta.dirname, "../../../services/orders/migrations");
  const names = globSync("*.sql", { cwd: folder });
  expect(names.length).toBeGreaterThan(0);
  const [next = ""] = globSync("*.sql", { cwd: import.meta.dirname }).map((path) => basename(path));
  for (const name of names) expect(name < next).toBe(true);
});
