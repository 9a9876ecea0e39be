import { expect, test } from "vitest";
import { Refusal } from "./refusal.ts";

test("a refusal says its reason, and of which fields", () => {
  const violations = [
    { field: "saga_id", description: "does not match" },
    { field: "why", description: "is empty" },
  ];
  const problem = { reason: "VALIDATION_FAILED", detail: "The request is not valid.", violations };
  expect(new Refusal(400, problem).message).toBe(
    "VALIDATION_FAILED: The request is not valid.\n  saga_id: does not match\n  why: is empty",
  );
});

test("what the gateway could not read is named too", () => {
  const problem = { reason: "INVALID_VALUE", detail: "must be a number", field: "pageSize" };
  expect(new Refusal(400, problem).message).toBe("INVALID_VALUE: must be a number\n  pageSize");
});

test("a refusal of somebody who writes no problem documents says its status", () => {
  expect(new Refusal(502, {})).toMatchObject({ message: "HTTP status 502", status: 502, reason: "" });
  expect(new Refusal(404, { title: "Not Found" }).message).toBe("Not Found");
});
