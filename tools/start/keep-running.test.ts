import { expect, test, vi } from "vitest";
import type { Exit } from "../stores/launched-process.ts";
import { keepRunning, type RestartPolicy } from "./keep-running.ts";

const policy: RestartPolicy = { maxCrashes: 3, windowMs: 60_000, firstDelayMs: 1, maxDelayMs: 3 };

/** Something whose runs end at once, so many times; after that it runs on. */
function crashing(times: number) {
  const crash: Exit = { code: 1, signal: null };
  let runs = 0;
  return {
    name: "thing",
    get exited() {
      return runs <= times ? Promise.resolve(crash) : new Promise<Exit>(() => undefined);
    },
    start: async () => {
      runs += 1;
    },
  };
}

function recordedEvents() {
  const delays: number[] = [];
  const onServing = vi.fn();
  const onGivenUp = vi.fn();
  return { delays, onServing, onGivenUp, onCrash: (_what: string, delayMs: number) => delays.push(delayMs) };
}

test("something that crashes starts again, after waits that grow up to a limit", async () => {
  const events = recordedEvents();
  void keepRunning(crashing(3), events, new AbortController().signal, policy);
  await vi.waitFor(() => expect(events.onServing).toHaveBeenCalledTimes(4));
  expect(events.delays).toEqual([1, 2, 3]);
  expect(events.onGivenUp).not.toHaveBeenCalled();
});

test("something that crashes too often is given up", async () => {
  const events = recordedEvents();
  await keepRunning(crashing(100), events, new AbortController().signal, policy);
  expect(events.onServing).toHaveBeenCalledTimes(4);
  expect(events.onGivenUp).toHaveBeenCalledExactlyOnceWith("thing ended with exit code 1");
});

test("crashes that lie further apart than the window are not added up", async () => {
  const events = recordedEvents();
  void keepRunning(crashing(8), events, new AbortController().signal, { ...policy, windowMs: 0 });
  await vi.waitFor(() => expect(events.onServing).toHaveBeenCalledTimes(9));
  expect(events.onGivenUp).not.toHaveBeenCalled();
});

test("a start that fails counts as a crash, and its reason is told", async () => {
  const events = { ...recordedEvents(), onCrash: vi.fn() };
  const failing = { ...crashing(0), start: () => Promise.reject(new Error("port taken")) };
  await keepRunning(failing, events, new AbortController().signal, policy);
  expect(events.onCrash).toHaveBeenCalledWith("port taken", 1);
  expect(events.onServing).not.toHaveBeenCalled();
});

test("nothing starts again once the end was asked for", async () => {
  const stopping = new AbortController();
  const events = recordedEvents();
  const startable = crashing(100);
  const start = vi.spyOn(startable, "start").mockImplementation(async () => stopping.abort());
  await keepRunning(startable, events, stopping.signal, policy);
  expect(start).toHaveBeenCalledTimes(1);
  expect(events.delays).toEqual([]);
});
