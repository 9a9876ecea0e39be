import { appendFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "souk-ledger-"));
  path = join(folder, "data", "ledger.jsonl");
});

afterEach(() => rm(folder, { recursive: true }));

test("entries keep their order and their offsets across a reopening", async () => {
  const first = await Ledger.open(path, () => {});
  const texts = Array.from({ length: 300 }, (_, n) => "ä€".repeat(n));
  const offsets = await Promise.all(
    texts.map((text, n) => first.append(JSON.stringify({ kind: "noted", n, text }))),
  );
  await first.close();
  const restored: [unknown, number][] = [];
  const second = await Ledger.open(path, (entry, offset) => restored.push([entry.n, offset]));
  expect(restored).toEqual(offsets.map((offset, n) => [n, offset]));
  expect((await second.entryAt(offsets[299] as number)).text).toBe(texts[299]);
  const late = await second.append(JSON.stringify({ kind: "noted", n: 300 }));
  expect((await second.entryAt(late)).n).toBe(300);
  await second.close();
});

test("entries that follow one another without a pause are all written", async () => {
  const ledger = await Ledger.open(path, () => {});
  for (let n = 0; n < 20; n++) {
    await ledger.append(JSON.stringify({ kind: "noted", n }));
    await ledger.settled();
  }
  const seen = (await Array.fromAsync(ledger.entries())).map((entry) => entry.n);
  expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
  await ledger.close();
});

test("a line torn by a crash is cut off and the next entry starts clean", async () => {
  const first = await Ledger.open(path, () => {});
  await first.append('{"kind":"noted","n":1}');
  await first.close();
  await appendFile(path, '{"kind":"no');
  const second = await Ledger.open(path, () => {});
  await second.append('{"kind":"noted","n":2}');
  await second.close();
  expect(await readFile(path, "utf8")).toBe('{"kind":"noted","n":1}\n{"kind":"noted","n":2}\n');
});

test("a damaged line refuses the start and changes nothing", async () => {
  const first = await Ledger.open(path, () => {});
  await first.close();
  await appendFile(path, '{"kind":"noted"}\nrubbish\n{"kind":"no');
  await expect(Ledger.open(path, () => {})).rejects.toThrow("damaged at byte 17");
  expect(await readFile(path, "utf8")).toBe('{"kind":"noted"}\nrubbish\n{"kind":"no');
});

test.runIf(process.platform === "linux")("a ledger that refused the start is not held open", async () => {
  await mkdir(dirname(path));
  await writeFile(path, "rubbish\n");
  await expect(Ledger.open(path, () => {})).rejects.toThrow("damaged at byte 0");
  const open = await Promise.all(
    (await readdir("/proc/self/fd")).map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")),
  );
  expect(open).not.toContain(path);
});

test("after a failed write nothing is accepted any more", async () => {
  const ledger = await Ledger.open(path, () => {});
  await ledger.append('{"kind":"noted"}');
  await ledger.close();
  await expect(ledger.append('{"kind":"noted"}')).rejects.toThrow();
  await expect(ledger.settled()).rejects.toThrow();
});
