import { expect, test } from "vitest";
import { connectNats } from "#kit/nats/nats.ts";
import { createLogger } from "#kit/telemetry/telemetry.ts";
import { testEnvironment, testPrefix } from "#kit/testing/testing.ts";
import { makeStreams } from "../streams.ts";

const log = createLogger({ service: "test", level: "silent" });

test("every package that declares events has a stream, made once", async () => {
  const nats = await connectNats({ url: testEnvironment().natsUrl, name: "streams", log });
  const prefix = testPrefix();
  const names = await makeStreams(nats, prefix);
  expect(names).toEqual(
    ["catalog", "inventory", "ops", "orders", "payments", "shipping"].map((area) => `${prefix}_${area}_v1`),
  );
  expect(await makeStreams(nats, prefix)).toEqual(names);
  const { config } = await nats.manager.streams.info(`${prefix}_orders_v1`);
  expect(config).toMatchObject({ subjects: [`${prefix}.orders.v1.*`], storage: "file", num_replicas: 1 });
  await nats.close();
});
