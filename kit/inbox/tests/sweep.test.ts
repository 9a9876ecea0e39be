import { expect, test } from "vitest";
import { StockLowSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { runConsumers } from "#kit/inbox/consume.ts";
import { readDeadLetterPage } from "#kit/inbox/dead-letters.ts";
import { on } from "#kit/inbox/inbox.ts";
import { subjectsOf } from "#kit/nats/event-names.ts";
import { ensureConsumer, ensureStream } from "#kit/nats/nats.ts";
import { addTo, readCounter } from "#kit/testing/fixture/counter-store.ts";
import { connectForeignEvents } from "#kit/testing/foreign-events.ts";
import { eventually } from "#kit/testing/testing.ts";
import { openParts, type Parts } from "#kit/testing/tests/parts.ts";

const advisories = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES";
const limits = { ackWaitMs: 200, maxDeliver: 2, sweepEveryMs: 100 };
const count = on(StockLowSchema, { apply: async (tx, { sku }) => void (await addTo(tx, sku, 1)) });

/** Takes what is offered and never answers, as a process does that dies each time; and loses the server's word of it. */
async function exhaust({ nats, prefix, stream }: Parts) {
  const name = `counters_${stream}`;
  const subject = `${advisories}.${stream}.${name}`;
  await ensureStream(nats, { name: "souk_exhausted_deliveries", subjects: `${advisories}.>` });
  const filter = subjectsOf(`${prefix}.inventory.v1.StockLow`);
  const consumer = await ensureConsumer(nats, { stream, name, filter, ...limits });
  for (let delivery = 1; delivery <= 2; delivery += 1) {
    for await (const _ of await consumer.fetch({ max_messages: 1, expires: 5_000 }));
  }
  await eventually(async () => {
    const messages = await consumer.fetch({ max_messages: 1, expires: 1_000 });
    for await (const message of messages) throw new Error(`${message.info.deliveryCount} deliveries`);
    const { purged } = await nats.manager.streams.purge("souk_exhausted_deliveries", { filter: subject });
    expect(purged).toBe(1);
  });
}

/** A round before, on a server that has run since. */
const sweptBefore = ({ stream, nats, asOwner }: Parts) =>
  asOwner(`insert into kit.consumer_sweeps (consumer, server)
    values ('counters_${stream}', '${nats.connection.info?.server_id}')`);

test.for([
  ["by what the server remembers", sweptBefore],
  ["by the events themselves where the server may have forgotten", async () => {}],
] as const)(
  "an event that the server stopped offering is found though its word of it was lost, %s",
  async ([_, prepare]) => {
    const parts = await openParts();
    const foreign = await connectForeignEvents(parts.prefix);
    const publish = (...skus: string[]) =>
      foreign.publish(
        StockLowSchema,
        skus.map((sku) => ({ message: { sku, available: 1 }, aggregateVersion: 1 })),
      );
    await prepare(parts);
    await publish("DEADLY");
    await exhaust(parts);
    const stopping = new AbortController();
    const options = { ...parts, service: "counters", consumers: [count], limits };
    const consuming = runConsumers(options, stopping.signal);
    await publish("FINE-1", "FINE-2", "FINE-3");
    await eventually(async () => {
      const [row] = await parts.asOwner("select swept_sequence::int as swept from kit.consumer_sweeps");
      expect(row).toEqual({ swept: 4 });
    });
    const letters = await readDeadLetterPage(parts.db, { status: "waiting", beforeId: undefined, limit: 10 });
    expect(letters).toMatchObject([{ reason: "HANDLER_DIED", aggregateId: "DEADLY", deliveries: 2 }]);
    expect(await readCounter(parts.db, "FINE-3")).toBe(1n);
    expect(await readCounter(parts.db, "DEADLY")).toBe(0n);
    stopping.abort();
    await consuming;
    await foreign.close();
    await parts.close();
  },
);
