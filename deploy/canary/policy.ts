// What a rollout is allowed to do, and by what a canary is judged.

/** One share of the calls, and for how long at least. */
export interface Step {
  /** Percent of the calls that go to the canary, 1 to 100. */
  readonly weight: number;
  readonly forS: number;
}

/** A policy, checked. */
export interface Policy {
  /** Ascending weights. One step of 100 is blue-green. */
  readonly steps: readonly Step[];
  /** Calls right after a change of weight count for nothing: code is cold, connections are new. */
  readonly warmupS: number;
  /** How long a window of calls is. */
  readonly windowS: number;
  /** Without this many calls to the canary, a window goes on for up to `longestWindowS`; then it says nothing. */
  readonly minCalls: number;
  readonly longestWindowS: number;
  /** A rollout whose windows have said nothing for so long is aborted. */
  readonly silenceS: number;
  /** Share of good canaries that may be aborted by mistake, over a whole rollout: 0.01. */
  readonly falseAborts: number;
  /** A share of faults that is nobody's business: 0.01. */
  readonly faultFloor: number;
  /** By which factor the canary's share of faults may exceed the stable pods'. */
  readonly faultRatio: number;
  /** By which factor the canary may be slower. */
  readonly slowRatio: number;
  /** By how many milliseconds it may be slower, whatever the factor. */
  readonly slowMs: number;
  /** Windows in a row that have to find it slow: one may have met a pause of the machine. */
  readonly slowWindows: number;
  /** Restarts of the canary's containers that are forgiven. */
  readonly restarts: number;
  /** How long the canary may take until it is ready, at first or again. */
  readonly readyS: number;
  /** How long the stable pods may take to become the canary's image. */
  readonly promoteS: number;
  /** How long the canary's pods stay after the last call was sent to them. */
  readonly settleS: number;
  /** How long an aborted canary's pods stay, for whoever looks for the reason. */
  readonly evidenceS: number;
}

/** How many windows a rollout has at most, if nothing holds it up. */
export const plannedWindows = ({ steps, windowS }: Policy) =>
  steps.reduce((sum, { forS }) => sum + Math.max(1, Math.ceil(forS / windowS)), 0);

/** How many pods the canary needs for a share of the calls that `stable` pods are enough for. */
export const podsFor = (weight: number, stable: number) => Math.max(1, Math.ceil((stable * weight) / 100));
