// Times in which this process itself did not run, and with it, most likely, nothing of the shop: the machine slept, or somebody had
// stopped everything on it. What the shop did not do meanwhile is no fault of the shop's.

/** From and to, in milliseconds since watching began. */
export interface Standstill {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Watches for standstills. */
export interface Standstills {
  readonly times: readonly Standstill[];
  /** Milliseconds since watching began in which this process ran. */
  awakeMs(): number;
  stop(): void;
}

const tickEveryMs = 250;
/** A busy machine keeps a tick waiting for a second or two. */
const standstillMs = 5_000;

/** Begins to watch. */
export function watchStandstills(): Standstills {
  const startedAtMs = performance.now();
  const nowMs = () => performance.now() - startedAtMs;
  const times: Standstill[] = [];
  let lastTickMs = 0;
  const tick = () => {
    const atMs = nowMs();
    if (atMs - lastTickMs > standstillMs) times.push({ fromMs: lastTickMs, toMs: atMs });
    lastTickMs = atMs;
  };
  const ticking = setInterval(tick, tickEveryMs).unref();
  return {
    times,
    awakeMs() {
      tick();
      return times.reduce((awake, { fromMs, toMs }) => awake - (toMs - fromMs), nowMs());
    },
    stop: () => clearInterval(ticking),
  };
}
