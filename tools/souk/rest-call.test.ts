import { expect, test } from "vitest";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { DeadLetterService, DeadLetterStatus } from "#gen/souk/ops/v1/ops_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { toRestCall } from "./rest-call.ts";

test("a question has its fields in path and query", () => {
  const request = { service: "orders", status: DeadLetterStatus.REPLAYED, pageSize: 5 };
  expect(toRestCall(DeadLetterService.method.listDeadLetters, request)).toEqual({
    verb: "GET",
    path: "/v1/ops/orders/dead-letters?pageSize=5&status=DEAD_LETTER_STATUS_REPLAYED",
    body: undefined,
  });
});

test("a question without more than its path has no query", () => {
  const { path } = toRestCall(DeadLetterService.method.listDeadLetters, { service: "orders" });
  expect(path).toBe("/v1/ops/orders/dead-letters");
});

test("a change has in its body what is not in its path", () => {
  const request = { paymentId: "payment_1", amount: { currencyCode: "EUR", amountMinor: 5n } };
  expect(toRestCall(PaymentsService.method.refundPayment, request)).toEqual({
    verb: "POST",
    path: "/v1/payments/payment_1:refund",
    body: { amount: { currencyCode: "EUR", amountMinor: "5" } },
  });
});

test("what is in a path cannot leave its segment", () => {
  const request = { service: "orders", deadLetterId: "../../x?y#z" };
  const { path } = toRestCall(DeadLetterService.method.getDeadLetter, request);
  expect(path).toBe("/v1/ops/orders/dead-letters/..%2F..%2Fx%3Fy%23z");
});

test("a method without a route, or with another verb, is not called", () => {
  expect(() => toRestCall(CatalogService.method.batchGetProducts, {})).toThrow("no route");
  expect(() => toRestCall(CatalogService.method.updateProduct, {})).toThrow("no route");
});
