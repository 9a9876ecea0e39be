import type { Fault } from "./fault.ts";

/** A fault that happened, in milliseconds from the beginning of the load. */
export interface Incident {
  readonly fault: Fault;
  readonly fromMs: number;
  /** When what was hit was back. */
  readonly toMs: number;
  /** How many parts were hit: connections, events. */
  readonly hits: number;
}
