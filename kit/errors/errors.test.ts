import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import {
  ErrorReason as SharedReason,
  ErrorReasonSchema as SharedReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/orders/v1/errors_pb.ts";
import { fromStatus, isRetryable, ServiceError, serviceError, toServiceError, toStatus } from "./errors.ts";

const notFound = () =>
  serviceError(ErrorReasonSchema, ErrorReason.ORDER_NOT_FOUND, "There is no such order.");

describe("an error of a declared reason", () => {
  it("has the code, reason and domain that the contract gives it", () => {
    expect(notFound()).toMatchObject({
      code: Code.NOT_FOUND,
      reason: "ORDER_NOT_FOUND",
      domain: "orders.souk",
      message: "There is no such order.",
      metadata: {},
      violations: [],
      retryAfterMs: undefined,
    });
  });

  it("cannot be made of a value without a declaration", () => {
    expect(() => serviceError(ErrorReasonSchema, ErrorReason.UNSPECIFIED, "?")).toThrow(
      "souk.orders.v1.ErrorReason declares no reason 0",
    );
  });

  it("arrives at another process as it left, but for its cause", () => {
    const sent = serviceError(SharedReasonSchema, SharedReason.VALIDATION_FAILED, "Two fields are wrong.", {
      metadata: { rule: "int32.gt" },
      violations: [
        { field: "lines[0].quantity", description: "must be greater than 0" },
        { field: "email", description: "must be an address" },
      ],
      retryAfterMs: 1_250,
      cause: new Error("secret"),
    });
    const received = fromStatus(toStatus(sent));
    expect(received).toBeInstanceOf(ServiceError);
    expect({ ...received }).toEqual({ ...sent });
    expect(received.message).toBe("Two fields are wrong.");
    expect(received.cause).toBeUndefined();
  });

  it("passes the funnel unchanged", () => {
    const error = notFound();
    expect(toServiceError(error)).toBe(error);
  });
});

describe("an unknown error", () => {
  const bug = new TypeError("password of user 7 is undefined");

  it("is INTERNAL and keeps the original as its cause", () => {
    expect(toServiceError(bug)).toMatchObject({
      code: Code.INTERNAL,
      reason: "INTERNAL",
      domain: "errors.souk",
      cause: bug,
    });
  });

  it.each([[bug], ["password of user 7"], [undefined], [{ password: 7 }]])(
    "leaves no text in the status of %o",
    (thrown) => {
      const status = toStatus(thrown);
      expect(status.code).toBe(Code.INTERNAL);
      expect(`${status.message}${Buffer.from(status.details).toString("latin1")}`).not.toMatch(
        /password|TypeError/,
      );
    },
  );
});

describe("a status that arrives without ErrorInfo", () => {
  const transportText = "No connection established. Last error: connect ECONNREFUSED 10.0.0.7:8084";

  it.each([
    [Code.UNAVAILABLE, Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", "errors.souk"],
    [Code.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "errors.souk"],
    [Code.CANCELLED, Code.CANCELLED, "CANCELLED", "grpc"],
    [Code.UNIMPLEMENTED, Code.UNIMPLEMENTED, "UNIMPLEMENTED", "grpc"],
    [Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", "grpc"],
    [Code.UNKNOWN, Code.INTERNAL, "INTERNAL", "errors.souk"],
    [Code.OK, Code.INTERNAL, "INTERNAL", "errors.souk"],
    [99, Code.INTERNAL, "INTERNAL", "errors.souk"],
  ])("of code %i has code %i and reason %s", (code, expectedCode, reason, domain) => {
    const error = fromStatus({ code, message: transportText });
    expect(error).toMatchObject({ code: expectedCode, reason, domain });
    expect(error.message).not.toContain("10.0.0.7");
    expect(String(error.cause)).toContain(transportText);
  });

  it("is told from one with ErrorInfo even when its details are garbage", () => {
    const garbage = new Uint8Array([255, 255, 255, 1]);
    expect(fromStatus({ code: Code.UNAVAILABLE, message: "x", details: garbage }).reason).toBe(
      "DEPENDENCY_UNAVAILABLE",
    );
  });

  it("is told from one with ErrorInfo even when the detail inside is garbage", () => {
    const info = anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: "R" }));
    const status = create(StatusSchema, { details: [{ ...info, value: new Uint8Array([10, 200]) }] });
    const details = toBinary(StatusSchema, status);
    expect(fromStatus({ code: Code.UNAVAILABLE, message: "x", details }).reason).toBe(
      "DEPENDENCY_UNAVAILABLE",
    );
  });
});

describe("repeating", () => {
  const withCode = (code: Code) => new ServiceError({ code, reason: "R", domain: "d", message: "m" });
  const retryable = [
    Code.CANCELLED,
    Code.UNKNOWN,
    Code.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED,
    Code.ABORTED,
    Code.INTERNAL,
    Code.UNAVAILABLE,
  ];
  const terminal = [
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.PERMISSION_DENIED,
    Code.UNAUTHENTICATED,
    Code.FAILED_PRECONDITION,
    Code.OUT_OF_RANGE,
    Code.UNIMPLEMENTED,
    Code.DATA_LOSS,
  ];

  it("can help with these codes and no others", () => {
    expect(retryable.filter((code) => !isRetryable(withCode(code)))).toEqual([]);
    expect(terminal.filter((code) => isRetryable(withCode(code)))).toEqual([]);
    expect(retryable.length + terminal.length).toBe(Object.keys(Code).length - 1);
  });

  it("can help with anything unknown", () => {
    expect(isRetryable(new Error("socket hang up"))).toBe(true);
    expect(isRetryable(undefined)).toBe(true);
  });
});
