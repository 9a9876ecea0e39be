import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { delay } from "#kit/time/time.ts";
import { givingBackInputs } from "./hostile/giving-back.ts";
import { type HostileInput, tally } from "./hostile/input.ts";
import { messageInputs, playMessage } from "./hostile/messages.ts";
import { orderInputs } from "./hostile/orders.ts";
import { pageInputs } from "./hostile/pages.ts";
import { openRecords, type RecordReader, type Records, readMemory, readPids } from "./hostile/records.ts";
import { refundInputs } from "./hostile/refunds.ts";
import { replayInputs } from "./hostile/replays.ts";
import { type Scene, setScene } from "./hostile/scene.ts";
import { leaks } from "./rest.ts";
import { openShop } from "./shop.ts";

const shop = openShop();
let scene: Scene;
let records: RecordReader;
let before: Records;
let pids: ReturnType<typeof readPids>;
let memoryBefore: ReturnType<typeof readMemory>;

const inputs = [...orderInputs, ...refundInputs, ...givingBackInputs, ...pageInputs, ...replayInputs];
/** Somebody who means no harm reads all the while, this often. */
const readEveryMs = 100;
const reading = new AbortController();
const readsAnswered: number[] = [];
let neighbour: Promise<void>;

/** Each read has to be answered; whoever is flooded by others would be refused, or wait. */
async function readOn(): Promise<void> {
  while (!reading.signal.aborted) {
    readsAnswered.push((await shop().rest("GET", "/v1/products?page_size=1")).status);
    await delay(readEveryMs, reading.signal).catch(() => {});
  }
}

beforeAll(async () => {
  scene = await setScene(shop());
  records = await openRecords(shop());
  before = await records.readAtRest();
  pids = readPids(shop());
  memoryBefore = readMemory(shop());
  neighbour = readOn();
});
afterAll(async () => {
  reading.abort();
  await neighbour;
  await records?.close();
});

/** One row's failure is not to be found again in those behind it. */
async function play(input: HostileInput) {
  try {
    await attackAndCheck(input);
  } catch (error) {
    before = await records.readAtRest();
    throw error;
  }
}

async function attackAndCheck({ attack, answers: expected }: HostileInput) {
  const { requests, effect } = await attack(scene);
  if (effect) before = await records.readAtRest();
  const answers = await Promise.all(
    requests.map(({ method, path, ...request }) => shop().rest(method, path, request)),
  );
  expect(tally(answers), answers[0]?.text).toEqual(expected);
  for (const { status, text } of answers) {
    expect(status).toBeLessThan(500);
    if (status >= 400) expect(text).not.toMatch(leaks);
  }
  await effect?.(answers);
  if (effect) before = await records.readAtRest();
  else expect(changes(await records.read())).toEqual([]);
  expect(readPids(shop())).toEqual(pids);
}

/** Names of the records that are not as they were. */
const changes = (now: Records) => Object.keys(now).filter((name) => now[name] !== before[name]);

const rows = inputs.map((input) => [input.number, input.name, input] as const);

describe("what is hostile is answered as the table says, and changes nothing it must not", () => {
  test.each(rows)("%i: %s", async (_number, _name, input) => {
    await play(input);
  });
});

describe("a message that nobody of the shop made is set aside once, and what is sold meanwhile leaves the stock", () => {
  test.each(messageInputs.map((input) => [input.name, input] as const))("71: %s", async (_name, input) => {
    await playMessage(scene, input);
    expect(readPids(shop())).toEqual(pids);
  });
});

test("a neighbour who read all the while was answered each time", () => {
  expect(readsAnswered.length).toBeGreaterThan(50);
  expect(readsAnswered.filter((status) => status !== 200)).toEqual([]);
});

const maxGrowthBytes = 128 * 1024 * 1024;

test("after all of it each process is the one that was there before, and none has grown much", () => {
  expect(readPids(shop())).toEqual(pids);
  const grown = [...readMemory(shop())].map(
    ([name, bytes]) => [name, bytes - (memoryBefore.get(name) ?? 0)] as const,
  );
  expect(grown.length).toBeGreaterThan(8);
  expect(grown.filter(([, bytes]) => bytes > maxGrowthBytes)).toEqual([]);
});

test("every kind of hostile input has its rows", () => {
  expect([...new Set(inputs.map(({ number }) => number))].sort()).toEqual([
    44, 45, 46, 47, 48, 50, 51, 52, 53, 69, 70,
  ]);
  expect(messageInputs.length).toBeGreaterThan(4);
});
