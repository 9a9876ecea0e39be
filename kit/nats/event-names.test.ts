import { expect, test } from "vitest";
import { StockLowSchema, StockReservedSchema } from "#gen/souk/inventory/v1/events_pb.ts";
import { StockSchema } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { eventName, streamName, streamOf, streamSubjects, subjectsOf } from "./event-names.ts";

test("an event's type is its message's name, and so is its subject under the shop's own prefix", () => {
  expect(eventName(StockLowSchema, "souk")).toEqual({
    type: "souk.inventory.v1.StockLow",
    subject: "souk.inventory.v1.StockLow",
    stream: "souk_inventory_v1",
    aggregate: "stock",
    idProperty: "sku",
  });
});

test("another prefix moves an event's subject and stream, and leaves its type", () => {
  expect(eventName(StockReservedSchema, "t1")).toEqual({
    type: "souk.inventory.v1.StockReserved",
    subject: "t1.inventory.v1.StockReserved",
    stream: "t1_inventory_v1",
    aggregate: "reservation",
    idProperty: "reservationId",
  });
});

test("a package's stream takes the subjects of all its events", () => {
  expect(streamName(StockLowSchema.file, "souk")).toBe("souk_inventory_v1");
  expect(streamSubjects(StockLowSchema.file, "t1")).toBe("t1.inventory.v1.*");
});

test("a subject tells its stream, and the stream's subjects", () => {
  const { subject, stream } = eventName(StockReservedSchema, "t1");
  expect(streamOf(subject)).toBe(stream);
  expect(subjectsOf(subject)).toBe(streamSubjects(StockReservedSchema.file, "t1"));
});

test("a message that is not declared to be an event has no event name", () => {
  expect(() => eventName(StockSchema, "souk")).toThrow(
    "souk.inventory.v1.Stock is not declared to be an event",
  );
});
