import { afterAll, beforeAll, expect, test } from "vitest";
import { sendRaw } from "./raw-http.ts";
import { startTestEdge, type TestEdge } from "./test-edge.ts";
import { answers } from "./transcoding/answers.ts";
import { bodies } from "./transcoding/bodies.ts";
import type { Case } from "./transcoding/case.ts";
import { errorsAndHeaders } from "./transcoding/errors-and-headers.ts";
import { hostileJson } from "./transcoding/hostile-json.ts";
import { json } from "./transcoding/json.ts";
import { matching } from "./transcoding/matching.ts";
import { pathValues } from "./transcoding/path-values.ts";
import { queries } from "./transcoding/query.ts";
import { scalars } from "./transcoding/scalars.ts";
import { startUp } from "./transcoding/start-up.ts";

const cases: readonly Case[] = [
  ...matching,
  ...pathValues,
  ...scalars,
  ...queries,
  ...bodies,
  ...json,
  ...hostileJson,
  ...answers,
  ...errorsAndHeaders,
];

// The rules by their letters, of which the tables name each; T15 is about rules from elsewhere, which this edge does not read.
const lastOf = { T: 16, M: 13, D: 6, V: 9, Q: 13, B: 13, R: 10, X: 8 };

let dropping: TestEdge;
let rejecting: TestEdge;

beforeAll(async () => {
  dropping = await startTestEdge({
    responseHeaders: ["x-shelf"],
    deniedHeaders: ["x-user-id", "x-internal-*"],
  });
  rejecting = await startTestEdge({ unknownMembers: "reject" });
});

afterAll(async () => {
  await dropping.stop();
  await rejecting.stop();
});

test.each(cases)("%s: %s", async (_rule, _fact, request, expected) => {
  const answer = await sendRaw((expected.strictly ? rejecting : dropping).port, request);
  expect({ status: answer.status, body: answer.status === expected.status ? "" : answer.body }).toEqual({
    status: expected.status,
    body: "",
  });
  if (expected.json !== undefined) expect(answer.json()).toMatchObject(expected.json as object);
  if (expected.body !== undefined) expect(answer.body).toBe(expected.body);
  if (expected.headers !== undefined) expect(answer.headers).toMatchObject(expected.headers);
  const seen = expected.withoutMetadata && Object.keys(answer.json().metadata as object);
  expect(seen?.filter((name) => expected.withoutMetadata?.includes(name)) ?? []).toEqual([]);
  if (answer.status >= 400 && request.method !== "HEAD")
    expect(answer.headers["content-type"]).toBe("application/problem+json");
});

test("metadata that is not listed does not become headers", async () => {
  expect((await sendRaw(dropping.port, { target: "/v1/call" })).headers).not.toHaveProperty("x-secret");
});

test.each([
  ["9000", 9_000],
  ["99999999", 30_000],
])("X7: who asks for %s ms has at most %i", async (asked, mostMs) => {
  const answer = await sendRaw(dropping.port, {
    target: "/v1/call",
    headers: { "connect-timeout-ms": asked },
  });
  const { timeoutMs } = answer.json();
  expect(timeoutMs).toBeLessThanOrEqual(mostMs);
  expect(timeoutMs).toBeGreaterThan(0);
});

test("every rule has a case, and there are hundreds", () => {
  const named = new Set([...cases, ...startUp].map(([rule]) => rule));
  const rules = Object.entries(lastOf).flatMap(([letter, last]) =>
    Array.from({ length: last }, (_, at) => `${letter}${at + 1}`),
  );
  expect(rules.filter((rule) => !named.has(rule))).toEqual(["T15"]);
  expect(cases.length).toBeGreaterThanOrEqual(400);
});
