import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { HttpRuleSchema } from "#gen/google/api/http_pb.ts";
import { custom, edgeWith, getting, posting, startUp } from "../tests/transcoding/start-up.ts";

test.each(startUp)(
  "%s: an edge does not start with %s, and names file, RPC and reason",
  (_rule, _what, bad) => {
    const start = () => edgeWith(bad.rules, { clientStreaming: bad.clientStreaming === true });
    expect(start).toThrow(bad.reason);
    expect(start).toThrow(/made\/up\.proto: made\.up\.MadeUpService\.\w+: /);
  },
);

test("every fault is named at once", () => {
  expect(() => edgeWith({ One: getting("v1"), Two: getting("/v1/{nope}") })).toThrow(
    /made\/up.proto: made.up.MadeUpService.One: .*begin with[\s\S]*made\/up.proto: made.up.MadeUpService.Two: .*no such field/,
  );
});

test("T9, T10, T11, M10: what a rule may say", () => {
  const edge = edgeWith({
    One: create(HttpRuleSchema, { pattern: { case: "delete", value: "/v1/{time}/{mask}" }, body: "*" }),
    Two: getting("/v1/{wrapped_int64}", { responseBody: "child" }),
    Three: getting("/v1/{child.child.shade}/{choice_text}/{data=a/*/**}:go", { responseBody: "*" }),
    Four: posting("/v1/x", "int64_list", {
      additionalBindings: [posting("/v1/%C3%A9.~_-:go", "choice_child")],
    }),
    Five: custom("*", "/v1/x", "*"),
    Six: custom("HEAD", "/v1/x"),
  });
  expect(
    edge.routes.map((route) => `${route.httpMethod} ${route.template} ${route.body} ${route.responseBody}`),
  ).toEqual([
    "DELETE /v1/{time}/{mask} * ",
    "GET /v1/{wrapped_int64}  child",
    "GET /v1/{child.child.shade}/{choice_text}/{data=a/*/**}:go  ",
    "POST /v1/x int64_list ",
    "POST /v1/%C3%A9.~_-:go choice_child ",
    "* /v1/x * ",
    "HEAD /v1/x  ",
  ]);
});

test("T13: one shape may answer several methods, and with a verb is another", () => {
  const verb = [posting("/v1/{number}", "*"), getting("/v1/{text}:go"), getting("/v1/x")];
  expect(edgeWith({ Call: getting("/v1/{text}", { additionalBindings: verb }) }).routes).toHaveLength(4);
});
