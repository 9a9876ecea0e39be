// Events on their way from an outbox to the consumers: at least once, late, twice, out of order.
import { fromBinary } from "@bufbuild/protobuf";
import type { EventContext } from "#kit/inbox/inbox.ts";
import type { Address, Running } from "./calls.ts";
import type { OutboxRow } from "./statements/chassis.ts";
import type { World } from "./world.ts";

/** What may be broken on purpose. */
export interface RelayFaults {
  /** Events are published by whoever commits, and lost with it. */
  readonly forgets?: true;
}

interface Broker {
  readonly world: World;
  readonly outbox: readonly OutboxRow[];
  readonly subscribers: readonly Address[];
  readonly faults: RelayFaults;
}

/** What the broker waits for before it offers an event again. */
const ackWaitMs = 5_000;

/** Makes the relay of one outbox: call it after each commit. */
export function createRelay(broker: Broker): () => void {
  let published = 0;
  return () => {
    for (; published < broker.outbox.length; published += 1) publish(broker, broker.outbox[published]);
  };
}

function publish({ world, subscribers, faults }: Broker, row: OutboxRow | undefined) {
  if (!row) return;
  const choice = world.draw();
  if (faults.forgets && choice >= 850) return;
  const delaysMs = [15 + (choice % 50)];
  if (choice >= 900) delaysMs.push(8_000 + choice * 40);
  if (choice >= 850 && choice < 900) delaysMs[0] = choice * 20;
  const listening = subscribers.filter(({ running }) => !running || consumerOf(running, row));
  for (const address of listening)
    for (const delayMs of delaysMs) world.after(delayMs, () => offer(world, address, row, 1));
}

/** Offers an event until it is acknowledged. */
function offer(world: World, address: Address, row: OutboxRow, deliveries: number): void {
  const { running } = address;
  if (running && !consumerOf(running, row)) return;
  let acknowledged = false;
  world.after(ackWaitMs, () => {
    if (!acknowledged) offer(world, address, row, deliveries + 1);
  });
  // Not awaited: the consumer goes on when the world does.
  if (!running) return;
  void apply(running, row, deliveries).then(
    () => (acknowledged = world.draw() < 950),
    () => {},
  );
}

const consumerOf = ({ consumers }: Running, { headers }: OutboxRow) =>
  consumers.find(({ event }) => event.typeName === headers["ce-type"]);

/** The inbox: the event's effect, and the memory of it, in one transaction. */
async function apply(running: Running, row: OutboxRow, deliveries: number): Promise<void> {
  const consumer = consumerOf(running, row);
  if (!consumer) return;
  const [event, context] = [fromBinary(consumer.event, row.payload), toContext(row, deliveries)];
  const prepared = await consumer.prepare?.(event, context);
  await running.db.transaction(async (tx) => {
    const insert = { name: "simulated-insert-inbox", text: "" };
    const fresh = await tx.query(insert, [consumer.event.typeName, row.eventId]);
    if (fresh.length > 0) await consumer.apply(tx, event, context, prepared);
  });
}

const toContext = ({ eventId, headers }: OutboxRow, deliveries: number): EventContext => ({
  eventId,
  aggregateId: headers["ce-subject"] ?? "",
  aggregateVersion: BigInt(headers["souk-aggregate-version"] ?? 0),
  correlationId: headers["x-correlation-id"] ?? "",
  traceparent: undefined,
  occurredAt: new Date(headers["ce-time"] ?? 0),
  deliveries,
});
