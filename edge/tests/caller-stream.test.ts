import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Call, Outcome } from "#edge/upstream/call.ts";
import { Upstream } from "#edge/upstream/upstream.ts";
import { BookSchema, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { type Backend, startBackend } from "./backend.ts";
import { eventually } from "./test-edge.ts";

let backend: Backend;
let upstream: Upstream;

beforeAll(async () => {
  backend = await startBackend();
  upstream = new Upstream({
    backend: { address: `http://127.0.0.1:${backend.port}` },
    maxInFlight: 10,
    maxSessions: 1,
  });
});

afterAll(() => {
  upstream.close();
  backend.kill();
});

interface Chat {
  readonly call: Call;
  readonly titles: string[];
  readonly facts: { drains: number; outcome: Outcome | undefined };
}

/** Opens the echoing stream on which both sides send. */
function openChat(): Chat {
  const titles: string[] = [];
  const facts: Chat["facts"] = { drains: 0, outcome: undefined };
  const call = upstream.call(
    {
      path: `/${LibraryService.typeName}/Chat`,
      metadata: [],
      message: undefined,
      timeoutMs: 20_000,
      maxResponseBytes: 1_000_000,
      retryable: false,
    },
    {
      onMessage: (message) => titles.push(fromBinary(BookSchema, message).displayTitle),
      onDrain: () => facts.drains++,
      onEnd: (outcome) => {
        facts.outcome = outcome;
      },
    },
  );
  return { call, titles, facts };
}

const book = (displayTitle: string) => toBinary(BookSchema, create(BookSchema, { displayTitle }));

test("a caller's messages reach the backend one by one", async () => {
  const { call, titles, facts } = openChat();
  await eventually(() => facts.drains > 0);
  call.send(book("one"));
  await eventually(() => titles.length === 1);
  call.send(book("two"));
  await eventually(() => titles.length === 2);
  call.end();
  await eventually(() => facts.outcome !== undefined);
  expect([titles, facts.outcome?.code]).toEqual([["one", "two"], 0]);
});

test("a caller who sends faster than the backend reads is told to wait, and when to go on", async () => {
  const { call, titles, facts } = openChat();
  await eventually(() => facts.drains > 0);
  call.pause();
  let sent = 0;
  while (sent < 200 && call.send(book("x".repeat(100_000)))) sent++;
  expect(sent).toBeLessThan(200);
  call.resume();
  await eventually(() => facts.drains > 1);
  call.end();
  await eventually(() => titles.length === sent + 1 && facts.outcome?.code === 0);
});
