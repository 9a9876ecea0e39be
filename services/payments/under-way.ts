import type { Payment } from "./payment.ts";

/** What is worth knowing of a payment without asking the database. */
export type KnownPayment = Pick<Payment, "status" | "amount">;

/**
 * Payments this replica is changing or has just changed. The processor's webhook about a change usually arrives while the
 * command that caused it is still being recorded; waiting for that, and knowing its result, spares both the double work and
 * the query. Only a shortcut: what is not known here is read from the database.
 */
export interface PaymentsUnderWay {
  /** A command about this payment has gone out to the processor. */
  start(authorizeKey: string): void;
  /** Its result is committed. */
  recorded(payment: Payment): void;
  /** What a command recorded, waited for while one is under way; undefined when this replica does not know. */
  outcomeOf(authorizeKey: string): Promise<KnownPayment | undefined>;
}

/** Bounds of the shortcut. */
export interface UnderWayLimits {
  /** A command not recorded after that long has failed. */
  readonly patienceMs: number;
  /** How many results are kept, newest first to stay. */
  readonly maxKnown: number;
}

interface Command extends PromiseWithResolvers<void> {
  readonly expiry: NodeJS.Timeout;
}

/** Starts empty. */
export function createPaymentsUnderWay({ patienceMs, maxKnown }: UnderWayLimits): PaymentsUnderWay {
  const commands = new Map<string, Command>();
  const known = new Map<string, KnownPayment>();
  const end = (authorizeKey: string) => {
    const command = commands.get(authorizeKey);
    if (!command) return;
    clearTimeout(command.expiry);
    commands.delete(authorizeKey);
    command.resolve();
  };
  return {
    start(authorizeKey) {
      end(authorizeKey);
      const expiry = setTimeout(end, patienceMs, authorizeKey).unref();
      commands.set(authorizeKey, { ...Promise.withResolvers<void>(), expiry });
    },
    recorded({ authorizeKey, status, amount }) {
      remember(known, authorizeKey, { status, amount }, maxKnown);
      end(authorizeKey);
    },
    async outcomeOf(authorizeKey) {
      await commands.get(authorizeKey)?.promise;
      return known.get(authorizeKey);
    },
  };
}

function remember(known: Map<string, KnownPayment>, key: string, payment: KnownPayment, maxKnown: number) {
  known.delete(key);
  known.set(key, payment);
  if (known.size <= maxKnown) return;
  for (const [oldest] of known) {
    known.delete(oldest);
    return;
  }
}
