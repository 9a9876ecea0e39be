// Idempotency: the first answer given for a key is kept in the ledger, in the same line as the effect it reports,
// so that there is no moment in which one exists without the other. Memory holds only key → offset.
import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** What identifies a request for idempotency. */
export type Attempt = {
  key: string | undefined;
  method: string;
  path: string;
  body: string;
  requestId: string;
};

/** What carrying out a request came to: one line of the ledger and the answer for the caller. */
export type Effect = {
  kind: string;
  /** Further fields of the ledger line. */
  fields: Record<string, unknown>;
  status: number;
  answer: unknown;
  /** True: the first caller never gets this answer, a repeat with the key does. */
  withheld?: boolean;
};

/** How an attempt ended. */
export type Outcome =
  | { outcome: "answered"; status: number; body: string; withheld: boolean }
  | { outcome: "replayed"; status: number; body: string; firstRequestId: unknown }
  | { outcome: "under_way" }
  | { outcome: "other_request" };

/** The remembered answers of one sandbox. */
export class Answers {
  readonly #ledger: Ledger;
  readonly #offsets: Map<string, number>;
  readonly #underWay = new Set<string>();

  /** `offsets` is what `rememberOffset` collected while the ledger was opened. */
  constructor(ledger: Ledger, offsets: Map<string, number>) {
    this.#ledger = ledger;
    this.#offsets = offsets;
  }

  /**
   * Carries a request out once per key. `apply` runs after `delayMs`, must be synchronous (state and ledger then
   * change in one order), and what it throws is remembered nowhere: the key stays free.
   */
  async once(attempt: Attempt, delayMs: number, apply: () => Effect): Promise<Outcome> {
    const { key } = attempt;
    if (key === undefined) return this.#carryOut(attempt, delayMs, apply);
    const offset = this.#offsets.get(key);
    if (offset !== undefined) return this.#replay(attempt, offset);
    if (this.#underWay.has(key)) return { outcome: "under_way" };
    this.#underWay.add(key);
    try {
      return await this.#carryOut(attempt, delayMs, apply);
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #carryOut(attempt: Attempt, delayMs: number, apply: () => Effect): Promise<Outcome> {
    if (delayMs > 0) await delay(delayMs);
    const { kind, fields, status, answer, withheld = false } = apply();
    const body = JSON.stringify(answer);
    const head = JSON.stringify({
      at: new Date().toISOString(),
      kind,
      ...fields,
      request_id: attempt.requestId,
      idempotency_key: attempt.key,
      fingerprint: attempt.key === undefined ? undefined : fingerprint(attempt),
      status,
    });
    const offset = await this.#ledger.append(`${head.slice(0, -1)},"answer":${body}}`);
    if (attempt.key !== undefined) this.#offsets.set(attempt.key, offset);
    return { outcome: "answered", status, body, withheld };
  }

  async #replay(attempt: Attempt, offset: number): Promise<Outcome> {
    const entry = await this.#ledger.entryAt(offset);
    if (entry.fingerprint !== fingerprint(attempt)) return { outcome: "other_request" };
    const body = JSON.stringify(entry.answer);
    return { outcome: "replayed", status: entry.status, body, firstRequestId: entry.request_id };
  }
}

/** Notes the key of an entry read at start. */
export function rememberOffset(offsets: Map<string, number>, entry: LedgerEntry, offset: number): void {
  if (entry.idempotency_key !== undefined) offsets.set(entry.idempotency_key, offset);
}

function fingerprint({ method, path, body }: Attempt): string {
  return hash("sha256", `${method} ${path}\n${body}`, "base64url");
}
