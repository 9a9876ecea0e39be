import { createInbox, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { streamOf, subjectsOf } from "#kit/nats/event-names.ts";
import { ensureStream, type Nats } from "#kit/nats/nats.ts";

/** An event as it lies in the outbox. */
export interface StoredEvent {
  readonly event_id: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

/** Carries events to their streams, one batch at a time. */
export interface Publisher extends Disposable {
  /**
   * Publishes events side by side and waits until the stream has them all. Where one cannot be published, its stream is made sure
   * of before the error is thrown: a broker that lost its data has forgotten the stream too.
   */
  publishAll(events: readonly StoredEvent[]): Promise<void>;
}

/** A publish that was under way when the broker died has no answer, and everything behind it waits for so long. */
const publishTimeoutMs = 2_000;

/**
 * Makes a publisher. The stream's answers come to one subscription of its own and are counted by batch, with one deadline for all:
 * the library's own publish makes a request, a timer and several promises of each event.
 */
export function createPublisher(nats: Nats): Publisher {
  const inbox = createInbox();
  let current: Batch | undefined;
  const answers = nats.connection.subscribe(`${inbox}.*.*`, {
    callback: (error, message) => {
      if (!error) current?.answer(message);
    },
  });
  let batches = 0;
  return {
    async publishAll(events) {
      if (events.length === 0) return;
      batches += 1;
      const batch = new Batch(events, `${inbox}.${batches}.`);
      current = batch;
      await repair(nats, events, await batch.publish(nats));
    },
    [Symbol.dispose]: () => answers.unsubscribe(),
  };
}

/** What became of each event of a batch: undefined where the stream has it. */
type Outcomes = readonly (Error | undefined)[];

async function repair(nats: Nats, events: readonly StoredEvent[], outcomes: Outcomes) {
  const failure = outcomes.find(Boolean);
  if (!failure) return;
  const failed = events.filter((_, index) => outcomes[index]);
  const subjects = new Set(failed.map(({ subject }) => subjectsOf(subject)));
  await Promise.allSettled(
    [...subjects].map((subject) => ensureStream(nats, { name: streamOf(subject), subjects: subject })),
  );
  throw failure;
}

/** Events that are under way together, and what has been heard of them. */
class Batch {
  readonly #events: readonly StoredEvent[];
  readonly #replyPrefix: string;
  readonly #answered = Promise.withResolvers<void>();
  readonly #outcomes: (Error | undefined)[];
  readonly #waiting: Set<number>;

  /** Answers come to `replyPrefix` and the event's place. */
  constructor(events: readonly StoredEvent[], replyPrefix: string) {
    this.#events = events;
    this.#replyPrefix = replyPrefix;
    this.#outcomes = events.map(() => undefined);
    this.#waiting = new Set(events.keys());
  }

  /** Resolves when all are answered, or after the deadline. */
  async publish({ connection }: Nats): Promise<Outcomes> {
    for (const [place, event] of this.#events.entries()) {
      try {
        const reply = this.#replyPrefix + place;
        connection.publish(event.subject, event.payload, { reply, headers: toHeaders(event) });
      } catch (error) {
        this.#settle(place, error as Error);
      }
    }
    const timer = setTimeout(this.#answered.resolve, publishTimeoutMs);
    await this.#answered.promise;
    clearTimeout(timer);
    for (const place of this.#waiting) this.#outcomes[place] = new Error("the broker did not answer in time");
    return this.#outcomes;
  }

  /** Takes an answer; those to other batches come too late for anybody. */
  answer(message: Msg): void {
    if (!message.subject.startsWith(this.#replyPrefix)) return;
    this.#settle(Number(message.subject.slice(this.#replyPrefix.length)), complaintOf(message));
  }

  #settle(place: number, outcome: Error | undefined) {
    if (!this.#waiting.delete(place)) return;
    this.#outcomes[place] = outcome;
    if (this.#waiting.size === 0) this.#answered.resolve();
  }
}

/** Why the stream has not taken an event; undefined where it has, be it for the second time. */
function complaintOf(message: Msg): Error | undefined {
  if (message.data.length === 0) return new Error("no stream takes the event");
  const { stream, error } = message.json<{ stream?: string; error?: { description?: string } }>();
  if (error) return new Error(`the stream refused the event: ${error.description}`);
  return stream ? undefined : new Error("the stream's answer makes no sense");
}

/** All that a connection asks of headers is their bytes; the library's own look each name up several times. */
function toHeaders({ event_id: eventId, subject, headers }: StoredEvent): MsgHdrs {
  let text = `NATS/1.0\r\nNats-Msg-Id: ${eventId}\r\nNats-Expected-Stream: ${streamOf(subject)}\r\n`;
  for (const name in headers) text += `${name}: ${onOneLine(headers[name] ?? "")}\r\n`;
  const bytes = Buffer.from(`${text}\r\n`);
  return { encode: () => bytes } as unknown as MsgHdrs;
}

/** What a header says must not become another header. */
const onOneLine = (value: string) => (/[\r\n]/.test(value) ? value.replaceAll(/[\r\n]+/g, " ") : value);
