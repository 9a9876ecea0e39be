import { nanos } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectNats, ensureConsumer, ensureStream, type Nats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { startOwnStore } from "#kit/testing/tests/own-store.ts";

const log = createLogger({ service: "test", level: "silent" });
let server: Awaited<ReturnType<typeof startOwnStore>>;

beforeAll(async () => {
  server = await startOwnStore("nats");
});
afterAll(() => server[Symbol.asyncDispose]());

const connect = (name: string) => connectNats({ url: server.url, name, log });
const stream = { name: "shop_v1", subjects: "shop.v1.*" };
const publish = (nats: Nats, text: string) =>
  nats.jetstream.publish("shop.v1.Opened", text, { msgID: text, timeout: 1_000 });

test("several processes may make the same stream and consumer at once", async () => {
  const all = await Promise.all(["a", "b", "c", "d"].map(connect));
  await Promise.all(all.map((nats) => ensureStream(nats, stream)));
  await Promise.all(
    all.map((nats) => ensureConsumer(nats, { stream: stream.name, name: "shop", filter: "shop.v1.*" })),
  );
  const found = await all[0]?.manager.streams.info(stream.name);
  expect(found?.config).toMatchObject({
    subjects: ["shop.v1.*"],
    storage: "file",
    retention: "limits",
    max_age: nanos(7 * 24 * 60 * 60 * 1_000),
    duplicate_window: nanos(120_000),
  });
  expect(found?.state.consumer_count).toBe(1);
  await Promise.all(all.map((nats) => nats.close()));
});

test("a stream is kept on as many servers as the process was told, which one that is alone refuses", async () => {
  const three = await connectNats({ url: server.url, name: "three", log, streamReplicas: 3 });
  await expect(ensureStream(three, { name: "new_v1", subjects: "new.v1.*" })).rejects.toThrow(/replicas/);
  await three.close();
});

test("an event that is published twice under one id is in the stream once", async () => {
  const nats = await connect("twice");
  await ensureStream(nats, stream);
  expect((await publish(nats, "one")).duplicate).toBe(false);
  expect((await publish(nats, "one")).duplicate).toBe(true);
  await nats.close();
});

test("a connection outlives the server's restart, and what was stored is there", async () => {
  const nats = await connect("restart");
  await ensureStream(nats, stream);
  await publish(nats, "before");
  let attempts = 0;
  void (async () => {
    for await (const { type } of nats.connection.status()) attempts += type === "reconnecting" ? 1 : 0;
  })();
  await server.kill("SIGKILL");
  await eventually(() => expect(attempts).toBeGreaterThan(2));
  await server.start();
  await eventually(() => publish(nats, "after"));
  const { state } = await nats.manager.streams.info(stream.name);
  const last = await nats.manager.streams.getMessage(stream.name, { seq: state.last_seq - 1 });
  expect(last?.string()).toBe("before");
  await nats.close();
});

test("a process that starts before the server waits for it", async () => {
  await server.stop();
  const connecting = connect("early");
  await server.start();
  const nats = await connecting;
  await nats.close();
});

test("a connection closes before long though the server is away", async () => {
  const nats = await connect("abandoned");
  await server.kill("SIGKILL");
  const startedAtMs = performance.now();
  await nats.close();
  expect(performance.now() - startedAtMs).toBeLessThan(6_000);
  expect(nats.connection.isClosed()).toBe(true);
  await server.start();
});
