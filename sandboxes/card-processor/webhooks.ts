// Delivers events to one address, signed as Stripe signs them. Deliveries never delay an answer of the API and live
// in memory only: those under way when the process ends are lost, as the README says.
import { createHmac } from "node:crypto";
import { Agent, request } from "node:http";
import { log } from "../log.ts";

const MAX_CONCURRENT = 8;
/** Deliveries that wait, for their first try or the next; above it the oldest is dropped. */
const MAX_PENDING = 10_000;
/** About two minutes in all: enough for the receiver's restart. */
const MAX_ATTEMPTS = 10;
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 30_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
const DROP_LOG_INTERVAL_MS = 1000;

/** Where events go, and which. */
export type WebhookConfig = { url: URL; secret: string; events: ReadonlySet<string> };

type Delivery = { payload: string; id: string; attempts: number; retryTimer?: NodeJS.Timeout };

/** Sends events to the configured address; see the bounds above. */
export class WebhookSender {
  readonly #config: WebhookConfig;
  readonly #maxPending: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: MAX_CONCURRENT });
  readonly #ready = new Set<Delivery>();
  readonly #retrying = new Set<Delivery>();
  readonly #underWay = new Set<Promise<void>>();
  #dropped = 0;
  #droppedLoggedAt = 0;
  #closed = false;

  constructor(config: WebhookConfig, maxPending = MAX_PENDING) {
    this.#config = config;
    this.#maxPending = maxPending;
  }

  /** Whether anybody wants events of this type. */
  wants(type: string): boolean {
    return this.#config.events.has(type);
  }

  /** Queues an event; returns at once. */
  send(id: string, payload: string): void {
    if (this.#ready.size + this.#retrying.size >= this.#maxPending) this.#dropOldest();
    this.#ready.add({ id, payload, attempts: 0 });
    this.#startNext();
  }

  /** Gives deliveries under way `graceMs` to end and drops the rest. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    for (const delivery of this.#retrying) clearTimeout(delivery.retryTimer);
    const dropped = this.#ready.size + this.#retrying.size;
    if (dropped > 0) log("webhook deliveries dropped at stop", { dropped });
    const timer = setTimeout(() => this.#agent.destroy(), graceMs);
    await Promise.all(this.#underWay);
    clearTimeout(timer);
    this.#agent.destroy();
  }

  #startNext(): void {
    if (this.#closed || this.#underWay.size >= MAX_CONCURRENT) return;
    const [delivery] = this.#ready;
    if (!delivery) return;
    this.#ready.delete(delivery);
    const attempt = this.#attempt(delivery).finally(() => {
      this.#underWay.delete(attempt);
      this.#startNext();
    });
    this.#underWay.add(attempt);
  }

  async #attempt(delivery: Delivery): Promise<void> {
    delivery.attempts++;
    const failure = await post(this.#config, this.#agent, delivery.payload);
    if (failure === undefined || this.#closed) return;
    if (delivery.attempts >= MAX_ATTEMPTS) {
      log("webhook delivery given up", { event: delivery.id, attempts: delivery.attempts, failure });
      return;
    }
    this.#retrying.add(delivery);
    delivery.retryTimer = setTimeout(() => {
      this.#retrying.delete(delivery);
      this.#ready.add(delivery);
      this.#startNext();
    }, retryDelayMs(delivery.attempts));
  }

  #dropOldest(): void {
    const [oldest] = this.#retrying.size > 0 ? this.#retrying : this.#ready;
    if (!oldest) return;
    clearTimeout(oldest.retryTimer);
    this.#retrying.delete(oldest);
    this.#ready.delete(oldest);
    this.#dropped++;
    if (Date.now() - this.#droppedLoggedAt < DROP_LOG_INTERVAL_MS) return;
    log("webhook queue is full, oldest deliveries dropped", { dropped: this.#dropped, last: oldest.id });
    this.#dropped = 0;
    this.#droppedLoggedAt = Date.now();
  }
}

/** The `Stripe-Signature` header of a payload: HMAC-SHA256 over time and payload, so that neither can be changed. */
function signatureOf(payload: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${payload}`).digest("hex")}`;
}

/** Resolves with undefined when the target took it, else with what went wrong; never rejects. */
function post({ url, secret }: WebhookConfig, agent: Agent, payload: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = request(url, {
      method: "POST",
      agent,
      headers: {
        "content-type": "application/json; charset=utf-8",
        "content-length": Buffer.byteLength(payload),
        "stripe-signature": signatureOf(payload, secret, Math.floor(Date.now() / 1000)),
      },
    });
    const timer = setTimeout(() => outgoing.destroy(new Error("no answer in time")), ATTEMPT_TIMEOUT_MS);
    outgoing.on("response", (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      response.on("close", () => {
        clearTimeout(timer);
        resolve(status >= 200 && status < 300 ? undefined : `status ${status}`);
      });
    });
    outgoing.on("error", (cause) => {
      clearTimeout(timer);
      resolve(cause.message);
    });
    outgoing.end(payload);
  });
}

/** Doubles from 0.2 s to 30 s, with up to half of it taken off at random so that a herd spreads out. */
function retryDelayMs(attempts: number): number {
  const fullMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1));
  return fullMs * (1 - Math.random() / 2);
}
