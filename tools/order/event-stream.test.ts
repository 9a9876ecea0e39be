import { expect, test } from "vitest";
import { readEvents } from "./event-stream.ts";

async function eventsOf(text: string, chunkSize: number) {
  const bytes = new TextEncoder().encode(text);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.slice(at, at + chunkSize);
  }
  return Array.fromAsync(readEvents(chunks()));
}

const TEXT = 'data: {"a":"ü"}\n\n: \n\nevent: error\r\ndata: one\r\ndata: two\r\n\r\ndata: cut off';

test.each([1, 2, 3, 7, 1000])(
  "events are the same in chunks of %i bytes, without heartbeats and cut-off ends",
  async (size) => {
    expect(await eventsOf(TEXT, size)).toEqual([
      { event: "message", data: '{"a":"ü"}' },
      { event: "error", data: "one\ntwo" },
    ]);
  },
);

test("an event without end is refused", async () => {
  await expect(eventsOf(`data: ${"x".repeat(1_100_000)}`, 65_536)).rejects.toThrow("too long");
});
