import { delay } from "#kit/time/time.ts";

/** What wakes the relay. */
export interface Alarm {
  ring(): void;
  /** Waits to be rung, or for the poll interval, then lingers. */
  wait(signal: AbortSignal): Promise<void>;
  /** Lingers only. */
  soon(): Promise<void>;
}

/** After being woken the relay waits this long, so that one read serves the commits of many callers. */
const lingerMs = 25;
/** Safety net for a wake-up that was lost with its process. */
export const pollMs = 500;

/** Makes an alarm that nobody has rung. */
export function createAlarm(): Alarm {
  let rung = false;
  let awaken: (() => void) | undefined;
  const linger = (signal?: AbortSignal) => delay(lingerMs, signal).catch(() => {});
  return {
    ring() {
      rung = true;
      awaken?.();
    },
    async wait(signal) {
      if (!rung) {
        await new Promise<void>((resolve) => {
          awaken = resolve;
          delay(pollMs, signal).then(resolve, () => resolve());
        });
        awaken = undefined;
      }
      await linger(signal);
      rung = false;
    },
    soon: () => linger(),
  };
}
