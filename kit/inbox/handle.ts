import type { JsMsg } from "@nats-io/jetstream";
import { armed, reach } from "#kit/failpoints/failpoints.ts";
import { planted } from "#kit/failpoints/planted.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import { statement } from "#kit/postgres/postgres.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { delay } from "#kit/time/time.ts";
import { applyBatch, applyOne, type Outcome } from "./apply.ts";
import { HandlerDied, knowFromFirst, setAside } from "./dead-letters.ts";
import { claimOf, type Delivery, toDelivery } from "./delivery.ts";
import type { ConsumerGroup } from "./group.ts";
import { givesUp, type InboxLimits, retryDelayMs } from "./limits.ts";
import { type OfferedEvent, toOffered } from "./offered.ts";
import { countAttempt, deleteAttempts } from "./statements.ts";

/** What handling events needs. */
export interface Handling {
  readonly service: string;
  readonly group: ConsumerGroup;
  readonly limits: InboxLimits;
  readonly db: Database;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Messages that are held in this process, so that the server does not offer them to others meanwhile. */
  readonly held: () => readonly JsMsg[];
}

interface Offer {
  readonly message: JsMsg;
  readonly delivery: Delivery;
}

/**
 * Applies what can be applied, together where nothing speaks against it; what fails is handed back to the server or set aside.
 * Never rejects.
 */
export async function handleMessages(handling: Handling, messages: readonly JsMsg[]): Promise<void> {
  const offers: Offer[] = [];
  for (const message of messages) {
    const offer = await read(handling, message);
    if (offer) offers.push(offer);
  }
  const isSuspect = ({ delivery }: Offer) => delivery.context.deliveries > unsuspectedDeliveries;
  await handleTogether(
    handling,
    offers.filter((offer) => !isSuspect(offer)),
  );
  for (const offer of offers) if (isSuspect(offer)) await handleSuspect(handling, offer);
}

/** A process that stops hands back what it has not begun, which is nobody's fault. */
const unsuspectedDeliveries = 2;

async function read(handling: Handling, message: JsMsg): Promise<Offer | undefined> {
  const offered = toOffered(message);
  try {
    const delivery = toDelivery(offered, handling.group);
    if (delivery) return { message, delivery };
    message.ack();
  } catch (error) {
    await settleFailure(handling, message, offered, error);
  }
  return undefined;
}

async function handleTogether(handling: Handling, offers: readonly Offer[]): Promise<void> {
  if (offers.length === 0) return;
  const { db, group } = handling;
  if (planted("ack-before-commit")) for (const { message } of offers) message.ack();
  try {
    const deliveries = offers.map(({ delivery }) => delivery);
    const outcomes = await applyBatch({ db, durable: group.durable }, deliveries);
    if (armed) await reach("inbox:committed");
    for (const [i, offer] of offers.entries()) acknowledge(handling, offer, outcomes[i]);
    if (armed) await reach("inbox:acked");
  } catch (error) {
    const database = await waitForDatabase(handling);
    if (database === "gone") return;
    if (database === "back") return await handleTogether(handling, offers);
    const [only] = offers;
    if (only && offers.length === 1) await fail(handling, only, error);
    else for (const offer of offers) await handleAlone(handling, offer);
  }
}

async function handleAlone(handling: Handling, offer: Offer): Promise<void> {
  const { db, group } = handling;
  try {
    acknowledge(handling, offer, await applyOne({ db, durable: group.durable }, offer.delivery));
  } catch (error) {
    await failUnlessAway(handling, offer, error, handleAlone);
  }
}

async function failUnlessAway(handling: Handling, offer: Offer, error: unknown, again: typeof handleAlone) {
  const database = await waitForDatabase(handling);
  if (database === "back") {
    // Whatever was begun, it was not the handler that ended it.
    await handling.db.query(deleteAttempts, keyOf(handling, offer)).catch(() => {});
    await again(handling, offer);
  }
  if (database === "there") await fail(handling, offer, error);
}

/**
 * An event that was offered twice before has failed, or its process has died, perhaps by its handler: it is handled alone, and that it
 * is begun is written down before. Innocents which were in the same hands end well, and nothing is left of the note.
 */
async function handleSuspect(handling: Handling, offer: Offer): Promise<void> {
  const { db, group, limits } = handling;
  const { durable } = group;
  const key = keyOf(handling, offer);
  const afterwards = (tx: Transaction) => tx.query(deleteAttempts, key);
  try {
    const [row] = await db.query<{ attempts: number }>(countAttempt, key);
    const attempts = row?.attempts ?? 1;
    if (attempts > limits.maxDeaths)
      throw new HandlerDied(`The handler ended its process ${attempts - 1} times.`);
    acknowledge(handling, offer, await applyOne({ db, durable, afterwards }, offer.delivery));
  } catch (error) {
    await failUnlessAway(handling, offer, error, handleSuspect);
  }
}

const keyOf = ({ group }: Handling, { delivery }: Offer) => [group.durable, delivery.context.eventId];

function acknowledge({ log, group }: Handling, { message, delivery }: Offer, outcome: Outcome | undefined) {
  message.ack();
  if (outcome !== "old" && outcome !== "parked") return;
  const { eventId, aggregateId, aggregateVersion } = delivery.context;
  const version = String(aggregateVersion);
  log.info(
    { consumer: group.durable, eventId, aggregateId, version },
    outcome === "old" ? "an event came too late and was ignored" : "an event waits for an earlier version",
  );
}

const fail = (handling: Handling, { message, delivery }: Offer, error: unknown) =>
  settleFailure(handling, message, delivery.offered, error);

/** Sets the event aside where trying again is of no use, and else hands it back to the server with a delay. */
async function settleFailure(
  { db, group, limits, log, service }: Handling,
  message: JsMsg,
  offered: OfferedEvent,
  error: unknown,
) {
  const { durable } = group;
  const { deliveries, subject, headers } = offered;
  const last = error instanceof HandlerDied || givesUp(limits, deliveries, error);
  const facts = { err: error, consumer: durable, subject, eventId: headers["ce-id"], deliveries };
  try {
    await db.transaction(async (tx) => {
      if (last) await setAside(tx, { service, durable, offered, error });
      // Of a deadly event the count stays: a further delivery, already under way, must not be tried either.
      if (!(error instanceof HandlerDied)) await forgetAttempt(tx, durable, offered);
    });
    log.warn(facts, last ? "an event was set aside" : "an event was handed back");
    if (last) message.term();
    else message.nak(planted("nak-without-delay") ? 0 : retryDelayMs(limits, deliveries));
  } catch (fault) {
    log.warn({ ...facts, fault }, "a failed event was handed back, its failure not recorded");
    message.nak(retryDelayMs(limits, deliveries));
  }
}

/** The handler failed and lives. */
async function forgetAttempt(tx: Transaction, durable: string, { headers }: OfferedEvent) {
  const eventId = headers["ce-id"] ?? "";
  await knowFromFirst(tx, durable, claimOf(headers));
  if (/^[0-9a-f-]{36}$/.test(eventId)) await tx.query(deleteAttempts, [durable, eventId]);
}

const ping = statement("kit-inbox-ping", "select 1");
const pingEveryMs = 500;

/**
 * While the database is away no event is to blame, and none is to use up its deliveries: what this process holds is kept. `gone`
 * where the process stops first: the server then offers it all again.
 */
async function waitForDatabase({ db, held, signal }: Handling): Promise<"there" | "back" | "gone"> {
  for (let away = false; !signal.aborted; away = true) {
    const answers = await db.query(ping).then(
      () => true,
      () => false,
    );
    if (answers) return away ? "back" : "there";
    for (const message of held()) message.working();
    await delay(pingEveryMs, signal).catch(() => {});
  }
  return "gone";
}
