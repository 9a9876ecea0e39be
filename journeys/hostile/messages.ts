// Messages that nobody of the shop made, in the stream of its orders, where inventory hears of what was sold.

import { connect, headers as natsHeaders } from "@nats-io/transport-node";
import { expect } from "vitest";
import { OrderConfirmedSchema } from "#gen/souk/orders/v1/events_pb.ts";
import { eventName } from "#kit/nats/event-names.ts";
import { eventually } from "#kit/testing/testing.ts";
import { buy, type Shop } from "../shop.ts";
import type { Scene } from "./scene.ts";

/** A row of the table: each such message is set aside once. */
export interface HostileMessage {
  readonly name: string;
  /** What differs from the headers of an event as the shop makes it; empty ones are left out. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

const { type, subject } = eventName(OrderConfirmedSchema, "souk");
const nothing = new Uint8Array();

/** Row 71. */
export const messageInputs: readonly HostileMessage[] = [
  { name: "of another schema", headers: {}, payload: new Uint8Array([0xff, 0xff]) },
  { name: "of JSON", headers: {}, payload: new TextEncoder().encode('{"orderId":"order_1"}') },
  {
    name: "of a version that nobody knows",
    headers: { "ce-type": type.replace(".v1.", ".v9.") },
    payload: nothing,
  },
  { name: "of nearly 1 MB", headers: {}, payload: new Uint8Array(1_000_000) },
  {
    name: "of a type that another message has",
    headers: { "ce-type": "souk.orders.v1.OrderPlaced" },
    payload: nothing,
  },
  { name: "without a type", headers: { "ce-type": "" }, payload: nothing },
  {
    name: "of a version from the future",
    headers: { "souk-aggregate-version": "9223372036854775807" },
    payload: nothing,
  },
];

/** Puts a message into the stream as whoever reaches the broker can, and tells the id of what it claims to be about. */
async function publish({ processes }: Shop, { headers, payload }: HostileMessage): Promise<string> {
  const aggregateId = `order_${crypto.randomUUID()}`;
  const attributes = {
    "ce-id": crypto.randomUUID(),
    "ce-type": type,
    "ce-subject": aggregateId,
    "ce-time": "2026-01-02T03:04:05Z",
    "souk-aggregate-version": "2",
    ...headers,
  };
  const made = natsHeaders();
  for (const [name, value] of Object.entries(attributes)) if (value !== "") made.set(name, value);
  const connection = await connect({ servers: processes.stores.nats.url, timeout: 5_000 });
  try {
    await connection.request(subject, payload, { headers: made, timeout: 5_000 });
  } finally {
    await connection.close();
  }
  return aggregateId;
}

interface Letter {
  readonly aggregateId: string;
  readonly reason: string;
  readonly deliveries: number;
}

async function lettersAbout({ rest, staff }: Shop, aggregateId: string) {
  const path = "/v1/ops/inventory/dead-letters?page_size=100";
  const { body } = await rest<{ deadLetters: Letter[] }>("GET", path, { token: staff.token });
  return body.deadLetters.filter((letter) => letter.aggregateId === aggregateId);
}

/** Sends it, and sees that it is set aside once while what is sold meanwhile leaves the stock. */
export async function playMessage({ shop, buyer }: Scene, message: HostileMessage): Promise<void> {
  const goods = await shop.sell(2);
  const aggregateId = await publish(shop, message);
  await buy(shop, buyer, { goods });
  await eventually(async () => expect(await shop.stock(goods)).toEqual({ onHand: 1, reserved: 0 }));
  const once = [expect.objectContaining({ reason: "EVENT_UNREADABLE", deliveries: 1 })];
  await eventually(async () => expect(await lettersAbout(shop, aggregateId)).toEqual(once));
}
