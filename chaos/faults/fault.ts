import type { LinkTrouble } from "../links/link.ts";

/** Something bad that happens to a part of the shop. */
export type Fault =
  /** SIGKILL of one replica. */
  | { readonly kind: "kill-service"; readonly service: string; readonly replica: number }
  /** SIGSTOP of one replica, SIGCONT after a while. */
  | {
      readonly kind: "freeze-service";
      readonly service: string;
      readonly replica: number;
      readonly forMs: number;
    }
  /** SIGTERM of one replica, as a deploy does it. */
  | { readonly kind: "restart-service"; readonly service: string; readonly replica: number }
  | { readonly kind: "kill-broker"; readonly downMs: number }
  /** An immediate stop, or a kill -9 of the postmaster. */
  | { readonly kind: "crash-postgres"; readonly how: "immediate" | "kill"; readonly downMs: number }
  /** `pg_terminate_backend` of this many of the services' connections. */
  | { readonly kind: "terminate-backends"; readonly count: number }
  | { readonly kind: "flush-redis" }
  | { readonly kind: "kill-redis"; readonly downMs: number }
  | {
      readonly kind: "trouble-link";
      readonly link: string;
      readonly trouble: LinkTrouble;
      readonly forMs: number;
    }
  | { readonly kind: "reset-link"; readonly link: string }
  /** Publishes copies of events, the newest or any, again under other message ids and in another order. */
  | { readonly kind: "repeat-events"; readonly count: number; readonly age: "new" | "old" }
  /** No event can be applied by this service for a while: its database is there and refuses to remember it. */
  | { readonly kind: "refuse-writes"; readonly service: string; readonly forMs: number }
  /** Shifts one service's `souk_now()`. */
  | { readonly kind: "shift-clock"; readonly service: string; readonly ms: number }
  /** A command that arrives after the one that undid it. */
  | { readonly kind: "late-command"; readonly service: "inventory" | "payments" | "shipping" };

/** What a fault is called in schedules, reports and planted searches. */
export type FaultKind = Fault["kind"];

/** A fault and its moment, in milliseconds from the beginning of the load. */
export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** Every kind, in the order in which reports show them. */
export const faultKinds: readonly FaultKind[] = [
  "kill-service",
  "freeze-service",
  "restart-service",
  "kill-broker",
  "crash-postgres",
  "terminate-backends",
  "flush-redis",
  "kill-redis",
  "trouble-link",
  "reset-link",
  "repeat-events",
  "refuse-writes",
  "shift-clock",
  "late-command",
];
