import { expect, test } from "vitest";
import { OpenStreams } from "./open-streams.ts";
import type { ClientStream } from "./stream.ts";

const streamOf = (id: number) => ({ id }) as ClientStream;

test("a stream that outlasts thousands of others is found until it is over", () => {
  const streams = new OpenStreams();
  const lasting = [streamOf(1), streamOf(3)];
  for (const stream of lasting) streams.add(stream);
  for (let id = 5; id < 10_001; id += 2) {
    const stream = streamOf(id);
    streams.add(stream);
    expect(streams.get(id)).toBe(stream);
    expect(lasting.map(({ id }) => streams.get(id))).toEqual(lasting);
    expect(streams.size).toBe(3);
    expect(new Set(streams.all())).toEqual(new Set([...lasting, stream]));
    streams.delete(stream);
    expect(streams.get(id)).toBeUndefined();
  }
  for (const stream of lasting) streams.delete(stream);
  expect([streams.size, streams.all(), streams.get(1)]).toEqual([0, [], undefined]);
});

test("more streams than there are slots are all found", () => {
  const streams = new OpenStreams();
  const all = Array.from({ length: 5_000 }, (_, at) => streamOf(2 * at + 1));
  for (const stream of all) streams.add(stream);
  expect(all.every((stream) => streams.get(stream.id) === stream)).toBe(true);
  expect([streams.size, streams.all().length]).toEqual([5_000, 5_000]);
  for (const stream of all) streams.delete(stream);
  expect([streams.size, streams.all().length]).toEqual([0, 0]);
});

test("what is not here, or over twice, changes nothing", () => {
  const streams = new OpenStreams();
  const [one, other] = [streamOf(1), streamOf(2 * 1024 + 1)];
  streams.add(other);
  streams.delete(one);
  streams.delete(other);
  streams.delete(other);
  expect([streams.size, streams.get(other.id)]).toEqual([0, undefined]);
});
