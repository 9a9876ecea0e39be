import { describe, expect, test } from "vitest";
import type { Problem } from "#edge/edge.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import {
  ErrorReason as InventoryReason,
  ErrorReasonSchema as InventoryReasonSchema,
} from "#gen/souk/inventory/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { refineProblem, toEdgeError } from "./problems.ts";

const aProblem = (over: Partial<Problem>): Problem => ({
  type: "about:blank",
  title: "Bad Request",
  status: 400,
  code: "FAILED_PRECONDITION",
  ...over,
});

describe("a problem", () => {
  test.each([
    ["orders.souk", "PRODUCT_NOT_SOLD", 422, "Unprocessable Entity"],
    ["orders.souk", "ORDER_ALREADY_ENDED", 409, "Conflict"],
    ["errors.souk", "IDEMPOTENCY_KEY_REUSED", 422, "Unprocessable Entity"],
    ["errors.souk", "COMMAND_CANCELLED", 409, "Conflict"],
  ])(
    "of %s %s has the status its reason declares, and that status's title",
    (domain, reason, status, title) => {
      expect(refineProblem(aProblem({ domain, reason }))).toMatchObject({ status, title });
    },
  );

  test("whose reason declares no status keeps that of its code", () => {
    const problem = aProblem({
      domain: "orders.souk",
      reason: "ORDER_NOT_FOUND",
      status: 404,
      title: "Not Found",
    });
    expect(refineProblem(problem)).toMatchObject({ status: 404, title: "Not Found" });
  });

  test("of another domain is not taken for one of the shop's, whatever its reason is called", () => {
    for (const domain of ["edge", "grpc", "catalog.souk", undefined]) {
      const problem = aProblem({ reason: "PRODUCT_NOT_SOLD", ...(domain && { domain }) });
      expect(refineProblem(problem).status).toBe(400);
    }
  });

  test("has a type made of its reason", () => {
    const problem = aProblem({ domain: "orders.souk", reason: "PRODUCT_NOT_SOLD" });
    expect(refineProblem(problem).type).toBe("urn:souk:problem:product-not-sold");
    expect(refineProblem(aProblem({})).type).toBe("about:blank");
  });

  test("keeps everything else it says", () => {
    const said = { detail: "No.", field: "lines", metadata: { product_id: "p" }, retryAfterMs: 5 };
    expect(
      refineProblem(aProblem({ domain: "orders.souk", reason: "PRODUCT_NOT_SOLD", ...said })),
    ).toMatchObject(said);
  });
});

describe("an error of the kit", () => {
  test("says at the edge what it said inside", () => {
    const error = serviceError(InventoryReasonSchema, InventoryReason.OUT_OF_STOCK, "There is too little.", {
      metadata: { sku: "TEA-1" },
      violations: [{ field: "lines[0].quantity", description: "too many" }],
    });
    expect(toEdgeError(error)).toMatchObject({
      code: 9,
      reason: "OUT_OF_STOCK",
      domain: "inventory.souk",
      message: "There is too little.",
      metadata: { sku: "TEA-1" },
      violations: [{ field: "lines[0].quantity", description: "too many" }],
      retryAfterMs: undefined,
      headers: undefined,
      cause: error,
    });
  });

  test("says when to come again, and carries the headers given", () => {
    const error = serviceError(ErrorReasonSchema, ErrorReason.RATE_LIMITED, "Later.", {
      retryAfterMs: 1_250,
    });
    const headers = { "www-authenticate": "Bearer" };
    expect(toEdgeError(error, headers)).toMatchObject({ code: 8, retryAfterMs: 1_250, headers });
  });

  test("that is none is a fault of ours, whose text stays inside", () => {
    const bug = new Error("password is hunter2");
    const error = toEdgeError(bug);
    expect(error).toMatchObject({ code: 13, reason: "INTERNAL", cause: bug });
    expect(error.message).not.toContain("hunter2");
  });
});
