import { type DescField, type DescMessage, getOption } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { field as fieldRules } from "#gen/buf/validate/validate_pb.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { Audience, Retry } from "#gen/souk/options/v1/options_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { edgePolicyFor, operatorServices, policyOf, publicServices, servedServices } from "./policy.ts";

const { placeOrder, getOrder, watchOrder } = OrdersService.method;
const operatorMethods = [...operatorServices].flatMap((service) => service.methods);
const allMethods = servedServices.flatMap((service) => service.methods);

describe("the edge is told of a method", () => {
  test("what its contract says", () => {
    expect(edgePolicyFor(placeOrder)).toEqual({
      exposed: true,
      maxTimeoutMs: 5_000,
      retryable: true,
      httpStatus: 202,
      maxRequestBytes: 262_144,
    });
  });

  test("no status where the contract names none, so that the edge's own holds", () => {
    expect(edgePolicyFor(getOrder)).not.toHaveProperty("httpStatus");
  });

  test("how long a stream may stay open", () => {
    expect(edgePolicyFor(watchOrder).maxTimeoutMs).toBe(300_000);
  });

  test("that it is never sent twice where its contract forbids it, and how large it may be where that is less", () => {
    const webhook = PaymentsService.method.receiveProcessorWebhook;
    expect(edgePolicyFor(webhook)).toMatchObject({ retryable: false, maxRequestBytes: 65_536 });
    expect(edgePolicyFor(getOrder).retryable).toBe(true);
  });

  test("which query parameter it leaves to us, where its contract takes tickets", () => {
    expect(edgePolicyFor(watchOrder).ignoredQueryParameters).toEqual(["ticket"]);
    expect(edgePolicyFor(getOrder)).not.toHaveProperty("ignoredQueryParameters");
  });

  test("that it stays inside where only services may call it", () => {
    const internal = [
      CatalogService.method.batchGetProducts,
      InventoryService.method.reserveStock,
      PaymentsService.method.capturePayment,
    ];
    expect(internal.map((method) => edgePolicyFor(method).exposed)).toEqual([false, false, false]);
    const inside = allMethods.filter((method) => !edgePolicyFor(method).exposed);
    expect(inside.length).toBeGreaterThan(5);
    expect(inside.every((method) => policyOf(method).audience === Audience.INTERNAL)).toBe(true);
  });
});

test("no method that needs an internal scope is exposed, and no exposed one lets everybody change things", () => {
  const exposed = allMethods.filter((method) => edgePolicyFor(method).exposed);
  expect(exposed.length).toBeGreaterThan(15);
  const internal = exposed.filter((method) =>
    policyOf(method).scopes.some((scope) => scope.startsWith("internal:")),
  );
  expect(internal.map(String)).toEqual([]);
  const openChanges = exposed.filter(
    (method) => policyOf(method).anonymous && policyOf(method).idempotencyKeyRequired,
  );
  expect(openChanges.map(String)).toEqual([]);
});

test("every service behind the gateway is named after the package of its contract", () => {
  for (const [service, backend] of publicServices)
    expect(service.file.proto.package).toBe(`souk.${backend}.v1`);
  expect(publicServices.size).toBe(5);
});

test("every operators' method names the service it is for, and asks for a scope of operators", () => {
  expect(operatorMethods.length).toBeGreaterThan(1);
  for (const method of operatorMethods) {
    expect(method.input.fields.find(({ name }) => name === "service")).toMatchObject({ number: 1 });
    expect(policyOf(method).scopes).toEqual([expect.stringMatching(/^ops:[a-z-]+$/)]);
  }
});

test("a method's policy is read once", () => {
  expect(policyOf(placeOrder)).toBe(policyOf(placeOrder));
});

test("a ticket is taken only where what it opens can be read and nothing be changed", () => {
  const taking = allMethods.filter((method) => policyOf(method).ticketAccepted);
  expect(taking.map(String)).toEqual([String(watchOrder)]);
  expect(taking.every((method) => policyOf(method).retry === Retry.SAFE && !policyOf(method).anonymous)).toBe(
    true,
  );
});

describe("an enum that a caller may send", () => {
  // Row 27 of the hostile inputs: proto3's enums are open, so the edge lets an unknown number pass; the contract must not.
  const exposed = servedServices
    .flatMap(({ methods }) => methods)
    .filter((method) => edgePolicyFor(method).exposed);

  test.each(
    [...new Set(exposed.flatMap(({ input }) => enumFieldsOf(input)))].map(
      (field) => [field.toString(), field] as const,
    ),
  )("%s takes only what the contract defines", (_name, field) => {
    const { type } = getOption(field, fieldRules);
    const rules = type.case === "repeated" ? type.value.items?.type : type;
    expect(rules).toMatchObject({ case: "enum", value: { definedOnly: true } });
  });
});

/** The enum fields of a message and of those inside. */
function enumFieldsOf(message: DescMessage, seen = new Set<DescMessage>()): DescField[] {
  if (seen.has(message)) return [];
  seen.add(message);
  return message.fields.flatMap((field) => [
    ...(field.enum ? [field] : []),
    ...(field.message ? enumFieldsOf(field.message, seen) : []),
  ]);
}
